"""`rater map`: mappings tried on files, before they are used."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from rater.cli.printing import show_table
from rater.core import CallRecord
from rater.files.mappings import load, preset_file, preset_text, presets
from rater.files.mappings.fields import paths_of
from rater.files.mappings.trying import Tried, compare, shared_ids, text_of, tried, why, write_expected
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

MappingName = Annotated[str, typer.Argument(help="A mapping in YAML, or the name of a preset.", metavar="MAPPING")]
Tenant = Annotated[str | None, typer.Option(help="The tenant of records that do not name one.")]
#: Fields of the switch's record that are shown, and how much of each.
_FIELDS_SHOWN_MAX, _LENGTH_SHOWN_MAX = 60, 120
_EXPECTED = ("usage_id", "tenant", "user", "type", "calling", "called", "answered_at", "ended_at", "duration_s")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Mappings: how the records of any switch are read.", no_args_is_help=True)
    group.command("check")(check)
    group.command("test")(compare_sample)
    group.command("list")(list_presets)
    group.command("show")(show)
    app.add_typer(group, name="map")


def check(
    mapping: MappingName,
    file: Annotated[str, typer.Argument(help="A file of the switch, or - for standard input.")],
    tenant: Tenant = None,
    limit: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Show so many records.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a record.")] = False,
) -> None:
    """Show each record of a file before and after, or why it is not rated.  Nothing is rated.

    Exit 1 if the mapping uses a field that no record has; else 3 if some were refused, or two calls got the same
    usage id.

    Example: rater map check site.yaml Master.csv
    """
    loaded = load(mapping).for_tenant(tenant)
    outcomes: Counter[str] = Counter()
    missing = loaded.missing()
    for one, earlier in shared_ids(tried(loaded, file)):
        outcomes[f"{one.outcome}: {one.reason}" if one.reason else one.outcome] += 1
        if earlier is not None:
            outcomes["refused: usage_id of another call"] += 1
        if one.fields is not None:
            missing.add(one.fields)
        if limit is None or outcomes.total() <= limit:
            _show(file, one, earlier, json=json)
    _say(f"mapping {loaded.name}, version {loaded.version}")
    for line, count in sorted(outcomes.items()):
        _say(f"{count} {line}")
    if lines := missing.lines():
        for line in lines:
            _say(f"{mapping}: {line}")
        raise typer.Exit(Exit.FAILED)
    if any(line.startswith("refused") for line in outcomes):
        raise typer.Exit(Exit.REFUSED)


def compare_sample(
    mapping: MappingName,
    sample: Annotated[
        Path | None, typer.Option(help="What the switch wrote; else MAPPING.sample.* beside it.")
    ] = None,
    expected: Annotated[
        Path | None, typer.Option(help="What is expected; else MAPPING.expected.csv beside it.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the expected rows as they are now; then read them.")
    ] = False,
    tenant: Tenant = None,
) -> None:
    """Compare what a mapping makes of a sample with the expected rows beside it.  Exit 1 at a difference.

    Example: rater map test site.yaml
    """
    place, loaded = Path(mapping), load(mapping).for_tenant(tenant)
    if write:
        if sample is None:
            raise RaterError("--write: expected --sample, too: what the switch wrote")
        try:
            _say(f"{write_expected(loaded, place, sample, _EXPECTED)}: written; read it before you keep it")
        except FileExistsError as wrong:
            raise RaterError(f"{wrong.filename}: is there already; delete it first") from None
        return
    different = compare(loaded, place, sample, expected)
    for line in different:
        _say(line)
    if different:
        raise typer.Exit(Exit.FAILED)
    _say(f"{mapping}: as expected")


def list_presets() -> None:
    """List the presets, and what a site must set for each.

    Example: rater map list
    """
    table = Table("preset", "records of", "a site must set", box=None)
    for name in presets():
        file, missing = preset_file(name)
        needed = ["call.tenant or --tenant"] if file.call.tenant is None else []
        needed += [line.partition(":")[0] for line in missing]
        table.add_row(name, escape(file.about or ""), escape(", ".join(needed)))
    show_table(table)


def show(name: Annotated[str, typer.Argument(help="The name of a preset.")]) -> None:
    """Show a preset, and on standard error what a site must set besides.

    Example: rater map show asterisk-cdr-csv > asterisk.yaml
    """
    typer.echo(preset_text(name), nl=False)
    for line in preset_file(name)[1]:
        _say(line)


def _show(file: str, one: Tried, earlier: int | None, *, json: bool) -> None:
    after = text_of(one.result) if isinstance(one.result, CallRecord) else {}
    reason = None if isinstance(one.result, CallRecord) else why(one.result)
    if earlier is not None:
        reason = f"usage_id: the call of row {earlier} has the same id: one of them would be refused"
    if json:
        before = one.fields if one.fields is not None else one.raw.decode("utf-8", "replace")
        facts = {"row": one.row, "result": one.outcome, "why": reason, "before": before, "after": after}
        typer.echo(orjson.dumps(facts, default=str))
        return
    typer.echo(f"{visible(file)}:{one.row}: {one.outcome}" + (f": {visible(reason)}" if reason else ""))
    for name, value in _flat(one.fields or {"record": one.raw.decode("utf-8", "replace")}):
        typer.echo(f"  before  {visible(name)} = {visible(value)}")
    for name, value in after.items():
        typer.echo(f"  after   {name} = {visible(value)}")


def _flat(fields: Any) -> list[tuple[str, str]]:
    """The fields of a record that are not empty, with the paths by which a mapping names them."""
    filled = ((path, str(value)[:_LENGTH_SHOWN_MAX]) for path, value in paths_of(fields) if value not in (None, ""))
    return list(islice(filled, _FIELDS_SHOWN_MAX))


def _say(line: str) -> None:
    typer.echo(visible(line), err=True)
