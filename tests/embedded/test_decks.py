"""Rate decks of the embedded rater: which one is in force, in whose currency, and how a wrong one is taken back."""

import json
import sqlite3
from pathlib import Path

import pytest

from rater.core.inputs import RateDeck, RateRow
from rater.embedded.store import Store, open_reader
from rater.files.deck_csv import read_deck
from rater.wire.errors import Exit, RaterError
from tests.commands import rater
from tests.world import DECK

COLUMNS = DECK.read_text().splitlines()[0]


def rate(folder: Path, *words: str, code: int = Exit.OK, accept: bool = True) -> str:
    """`rater run` in a folder; what it said.  The lists here differ much, and that is accepted."""
    more = ["--accept-changes"] if accept else []
    return rater("run", *words, *more, cwd=folder, code=code).stderr


def deck(folder: Path, name: str, price: str) -> None:
    (folder / name).write_text(f"{COLUMNS}\noutbound,263,Zimbabwe,ZW,landline,{price},0,60,60,,\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three price lists, and two tenants with credit in their own currencies."""
    for name, price in (("old", "0.2"), ("wrong", "2"), ("euro", "0.18")):
        deck(tmp_path, name, price)
    commands = [
        f'{{"command":"{command}","tenant":"{tenant}","id":"{id}","at":"2025-01-01T00:00:00Z",{rest}}}\n'
        for tenant, currency in (("contoso", "USD"), ("fabrikam", "EUR"))
        for command, id, rest in (
            ("tenant_configured", "1", f'"currency":"{currency}","credits":"enabled"'),
            ("funds_added", "2", '"amount":"100"'),
            ("license_assigned", "3", '"user":"ada","sku":"MCOPSTNPP","country":"US"'),
        )
    ]
    (tmp_path / "setup.jsonl").write_text("".join(commands))
    rate(tmp_path, "--commands", "setup.jsonl")
    return tmp_path


def charged(folder: Path, id: str, tenant: str = "contoso") -> tuple[str, list[str]]:
    """What a minute to Harare costs now, and what a person should look at."""
    call = (
        f'{{"tenant":"{tenant}","usage_id":"{id}","type":"user_out","answered_at":"2025-03-01T10:00:00Z",'
        '"duration_s":60,"user":"ada","calling":"+14255550100","called":"+263242700000"}\n'
    )
    (folder / f"{id}.jsonl").write_text(call)
    rate(folder, f"{id}.jsonl")
    store = open_reader(folder / "rater.db")
    try:
        (value,) = store.rated_calls(id)
    finally:
        store.close()
    rated = json.loads(value)
    return rated["charge"], rated.get("anomalies", [])


def activations(folder: Path) -> list[str]:
    """The versions that were put in force for everybody, in order."""
    store = open_reader(folder / "rater.db")
    try:
        everybody = store.account("-")
    finally:
        store.close()
    return [version for _, version in everybody.decks] if everybody else []


@pytest.mark.parametrize("currency", ["usd", "", "US D", "dollars", "US1"])
def test_an_invalid_currency_is_refused_before_a_deck_is_kept(folder: Path, currency: str) -> None:
    """New-user trial: `--currency usd` is one clear line, and the store can be used as before."""
    refused = rate(folder, "--deck", "old", "--currency", currency, code=Exit.USAGE)
    assert refused == (
        "rater: currency of the rate deck: expected three capital letters of ISO 4217 such as USD,"
        f" got {currency!r}\n"
    )
    rate(folder, "--deck", "old")
    assert charged(folder, "a") == ("0.2", [])


def test_a_store_keeps_no_deck_that_it_could_not_read_again(tmp_path: Path) -> None:
    """Whatever made the deck: it is refused, and the decks can be read."""
    row = RateRow(direction="outbound", prefix="1", destination="US", type="landline", price_per_minute="0.01")
    store = Store(tmp_path / "rater.db")
    try:
        with pytest.raises(RaterError, match=r"rate deck v: .*currency"):
            store.publish(RateDeck(version="v", currency="usd", rows=(row,)))
        assert store.decks() == []
    finally:
        store.close()


def test_a_wrong_price_list_is_rolled_back(folder: Path) -> None:
    """`--deck old`, `--deck wrong`, `--deck old` again: calls cost the old price again."""
    rate(folder, "--deck", "old")
    rate(folder, "--deck", "wrong")
    assert charged(folder, "a") == ("2", [])
    rate(folder, "--deck", "old")
    assert charged(folder, "b") == ("0.2", [])
    rate(folder, "--deck", "wrong")
    rate(folder, "--deck", "old")
    assert charged(folder, "c") == ("0.2", [])
    assert len(activations(folder)) == 1 + 1 + 1 + 2


@pytest.mark.parametrize("decks", [["old"], ["old", "wrong"]])
def test_the_same_decks_again_change_nothing(folder: Path, decks: list[str]) -> None:
    """A run that is repeated, after a kill or not, activates nothing: the last deck is in force as before."""
    words = [word for name in decks for word in ("--deck", name)]
    rate(folder, *words)
    before = activations(folder)
    for _ in range(2):
        rate(folder, *words)
    assert activations(folder) == before == [read_deck(folder / name).version for name in decks]


def test_a_run_that_was_killed_between_two_decks(folder: Path) -> None:
    """The same command once more goes on where it was: the last deck is in force, and each was put in force once."""
    both = ("--deck", "old", "--deck", "wrong")
    rate(folder, "--deck", "wrong")
    rate(folder, "--deck", "old")  # the same outputs as the run with both decks
    for _ in range(2):
        rate(folder, *both)
    assert charged(folder, "a") == ("2", [])
    assert len(activations(folder)) == 1 + 2


def test_a_deck_for_everybody_prices_tenants_of_its_currency(folder: Path) -> None:
    """One deck per currency: a tenant in euros never pays the price in dollars; without one the call is free."""
    rate(folder, "--deck", "old")
    assert charged(folder, "a", "fabrikam") == ("0", ["no_rate"])
    rate(folder, "--deck", "euro", "--currency", "EUR")
    assert charged(folder, "b", "fabrikam") == ("0.18", [])
    assert charged(folder, "c") == ("0.2", [])
    rate(folder, "--deck", "old")
    assert len(activations(folder)) == 2


def test_the_same_prices_in_two_currencies_are_two_decks(folder: Path) -> None:
    """A file that was published in dollars by mistake can be published in euros."""
    rate(folder, "--deck", "old")
    rate(folder, "--deck", "old", "--currency", "EUR")
    assert charged(folder, "a", "fabrikam") == ("0.2", [])


def kept(folder: Path) -> dict[str, int]:
    """How many decks, outputs and positions of inputs a store has."""
    with sqlite3.connect(folder / "rater.db") as store:
        tables = ("decks", "inputs", "account-events", "balances")
        return {table: store.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def versions(folder: Path) -> dict[str, str]:
    return {name: read_deck(folder / name).version for name in ("old", "wrong")}


def test_a_list_that_changes_much_is_refused_before_anything_is_done(folder: Path) -> None:
    """Ten times the price: a table, one message; nothing is published or rated, and no arrival of a file is kept."""
    rate(folder, "--deck", "old")
    (folder / "more.jsonl").write_text(
        '{"command":"funds_added","tenant":"contoso","id":"9","at":"2025-02-01T00:00:00Z","amount":"100"}\n'
    )
    before = kept(folder)
    said = rate(folder, "--deck", "wrong", "--commands", "more.jsonl", code=Exit.FAILED, accept=False)
    old, wrong = versions(folder).values()
    assert "price jumps" in said
    assert said.splitlines()[-1] == (
        f"rater: deck {wrong} changes too much against {old}, which is in force: 1 prices are more than 5 times up or"
        " down (RATER_DECK_PRICES_BEYOND_FACTOR_MAX allows 0); nothing was published, nothing was rated; if the list"
        " is right, give --accept-changes"
    )
    assert kept(folder) == before
    assert charged(folder, "a") == ("0.2", [])


def test_the_first_list_and_the_same_list(folder: Path) -> None:
    """There is nothing to compare the first list with; the same one again gives a message."""
    assert "in force" not in rate(folder, "--deck", "wrong", accept=False)
    assert "is in force for everybody already: no changes" in rate(folder, "--deck", "wrong", accept=False)


def test_a_wrong_list_is_withdrawn_with_the_command_that_was_printed(folder: Path) -> None:
    """`rater rates activate`: the old one counts again, for everybody, without a file; twice changes nothing."""
    rate(folder, "--deck", "old")
    said = rate(folder, "--deck", "wrong")
    old, wrong = versions(folder).values()
    command = f"rater rates activate {old}"
    assert said.splitlines()[-1] == f"deck {wrong} counts for everybody; to take it back: {command}"
    assert charged(folder, "a") == ("2", [])
    back = rater(*command.split()[1:], cwd=folder, code=Exit.OK).stderr
    assert "price jumps" in back
    assert f"to take it back: rater rates activate {wrong}" in back
    assert f"calls already priced: rater rerate --deck {old} --from TIME --to TIME --all (from when" in back
    assert charged(folder, "b") == ("0.2", [])
    assert "no changes" in rater(*command.split()[1:], cwd=folder, code=Exit.OK).stderr
    assert activations(folder) == [old, wrong, old]


def test_a_list_counts_again_for_one_tenant_from_an_instant(folder: Path) -> None:
    """Only contoso, only calls of 1 March and later; a list that is published later replaces it for everybody else."""
    rate(folder, "--deck", "old")
    rate(folder, "--deck", "wrong")
    old = versions(folder)["old"]
    since = ("--tenant", "contoso", "--from", "2025-03-02T00:00:00Z")
    rater("rates", "activate", old, *since, cwd=folder, code=Exit.OK)
    assert charged(folder, "a") == ("2", [])  # a call of 1 March
    rater(
        "rates", "activate", old, "--tenant", "contoso", "--from", "2025-03-01T00:00:00Z", cwd=folder, code=Exit.OK
    )
    assert charged(folder, "b") == ("0.2", [])
    wrong = rater("rates", "activate", old, "--tenant", "nobody", cwd=folder, code=Exit.USAGE).stderr
    assert "'nobody' is not configured" in wrong
    assert (
        "expected the version of a published deck"
        in rater("rates", "activate", "x", cwd=folder, code=Exit.USAGE).stderr
    )


def test_a_new_list_replaces_one_that_counts_from_an_instant(folder: Path) -> None:
    """After `--from`, the next list holds from the same instant, so that it does count."""
    rate(folder, "--deck", "old")
    rate(folder, "--deck", "wrong")
    old = versions(folder)["old"]
    rater("rates", "activate", old, "--from", "2025-02-01T00:00:00Z", cwd=folder, code=Exit.OK)
    assert charged(folder, "a") == ("0.2", [])
    deck(folder, "better", "0.21")
    rate(folder, "--deck", "better", accept=False)
    assert charged(folder, "b") == ("0.21", [])
