"""`rater check`: play scenarios and list those that fail."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer

from rater.core import RatingSettings
from rater.dev.scenarios.engine import EmbeddedEngine, Engine
from rater.dev.scenarios.kafka_engine import KafkaEngine
from rater.dev.scenarios.read import ScenarioFile, read_scenario
from rater.dev.scenarios.runner import Result, play
from rater.kafka.settings import DEFAULT_BOOTSTRAP
from rater.ops.logs import Style, log_to_stderr
from rater.wire.errors import Exit, RaterError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    paths: Annotated[list[Path], typer.Argument(help="Scenario files, or folders of them.", metavar="PATH...")],
    engine: Annotated[str, typer.Option(help="Where to play them: embedded, or kafka.")] = "embedded",
    broker: Annotated[
        str, typer.Option("--broker", "--bootstrap", envvar="RATER_BOOTSTRAP", help="With kafka: where it is.")
    ] = DEFAULT_BOOTSTRAP,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Play scenario files; exit 1 if any differs from what it expects, 2 if a file is not a scenario.

    Example: rater check my-tariff/ other/one.yaml
    """
    files, unreadable = _read(paths)
    results = [play(file, _engine(engine, broker)) for file in files]
    if json:
        typer.echo(orjson.dumps(_summary(results, unreadable)))
    else:
        _print(results, unreadable)
    if unreadable:
        raise typer.Exit(Exit.USAGE)
    if any(result.differences for result in results):
        raise typer.Exit(Exit.FAILED)


def _engine(engine: str, broker: str) -> Callable[[RatingSettings], Engine]:
    match engine:
        case "embedded":
            return EmbeddedEngine
        case "kafka":
            log_to_stderr(Style.CONSOLE, "WARNING")  # of the worker in this process
            return partial(KafkaEngine, bootstrap=broker)
        case _:
            raise RaterError(f"--engine: expected embedded or kafka, got {engine!r}")


def scenario_paths(paths: list[Path]) -> list[Path]:
    """The scenario files that paths mean: a folder means every .yaml and .yml below it, in order."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")])
            if not inside:
                raise RaterError(f"{path}: expected scenario files (*.yaml) in this folder, found none")
            found.extend(inside)
        elif path.exists():
            found.append(path)
        else:
            raise RaterError(f"{path}: no such file or folder")
    return found


def _read(paths: list[Path]) -> tuple[list[ScenarioFile], list[str]]:
    files: list[ScenarioFile] = []
    unreadable: list[str] = []
    for path in scenario_paths(paths):
        try:
            files.append(read_scenario(path))
        except RaterError as wrong:
            unreadable.append(str(wrong))
    return files, unreadable


def _print(results: list[Result], unreadable: list[str]) -> None:
    for result in results:
        verdict = "differs" if result.differences else "ok"
        typer.echo(f"{verdict:8}{result.file.path.name}: {result.file.scenario.scenario}")
        for line in (*result.differences, *result.notes):
            typer.echo(f"        {line}")
    for error in unreadable:
        typer.echo(f"error   {error}", err=True)
    passed = sum(not result.differences for result in results)
    typer.echo(f"{passed} of {len(results) + len(unreadable)} scenarios pass", err=True)


def _summary(results: list[Result], unreadable: list[str]) -> dict[str, object]:
    return {
        "scenarios": [
            {
                "path": str(result.file.path),
                "scenario": result.file.scenario.scenario,
                "ok": not result.differences,
                "differences": list(result.differences),
                "notes": list(result.notes),
            }
            for result in results
        ],
        "errors": unreadable,
    }
