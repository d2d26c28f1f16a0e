"""The public scenarios, and what `rater check` says of files that differ or are no scenarios."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rater.cli import build_app
from rater.dev.scenarios.read import read_scenario
from rater.wire.errors import RaterError

#: It has no world.
pytestmark = pytest.mark.in_memory

DECK = Path(__file__).parent.parent / "fixtures" / "deck.csv"
SCENARIO = """\
scenario: one call of a minute
rate_deck: deck.csv
tenant: {id: contoso, currency: USD, credits: enabled, recharge: {enabled: false}}
users:
  - {id: ada, country: US, licenses: [MCOPSTN1, {sku: MCOPSTNPP, from: 2025-03-01T00:00:00Z}]}
steps:
  - fund: {id: f1, amount: "10", at: 2025-03-01T00:00:00Z}
  - cdr: {id: c1, type: user_out, user: ada, called: "+12065550100", start: 2025-03-10T10:00:00Z, seconds: 61}
    expect: {outcome: rated, minutes: 2, balance: "10", pools: {"MCOPSTN1/US-PR/2025-03": {used: 2}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    return tmp_path


def check(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(), ["check", *args])
    return result.exit_code, result.output


def test_public_scenarios(shared: Path) -> None:
    """Conformance: every public scenario passes."""
    code, said = check(str(shared / "conformance"))
    assert (code, said.count("ok ")) == (0, 12), said


def test_a_scenario_that_passes(folder: Path) -> None:
    """Exit 0 and one line for each file."""
    (folder / "one.yaml").write_text(SCENARIO)
    code, said = check(str(folder))
    assert code == 0
    assert "one call of a minute" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minutes: 2", "minutes: 3", "minutes: expected 3, got 2"),
        ('balance: "10"', 'balance: "9.9"', "balance: expected 9.9, got 10"),
        ("{used: 2}", "{used: 3}", "pools[MCOPSTN1/US-PR/2025-03].used: expected 3, got 2"),
        ("US-PR/2025-03", "Mars", "no pool can have this name"),
        ("outcome: rated", "outcome: duplicate", "outcome: expected duplicate, got rated"),
        ("outcome: rated", "events: [user.restricted]", "events: expected [user.restricted], got []"),
        ("outcome: rated", "segments: []", "segments: expected [], got [{pocket: pool, minutes: 2, charge: 0}]"),
    ],
)
def test_a_scenario_that_differs(folder: Path, old: str, new: str, said: str) -> None:
    """Exit 1, and a readable difference with file, line and step."""
    (folder / "one.yaml").write_text(SCENARIO.replace(old, new))
    code, output = check(str(folder))
    assert code == 1
    assert said in output
    assert "one.yaml:8: steps[1]" in output


_CALL = '{id: "%s", type: user_out, user: ada, called: "+12065550100", start: %s, seconds: %d%s}'
GUID = "8d344131-a97e-ea41-d7e9-d48a832febc2"


@pytest.mark.parametrize("accepted", ["held", "HELD", GUID, GUID.upper(), "{" + GUID + "}", GUID.replace("-", "")])
def test_the_step_accept_lets_a_held_record_through(folder: Path, accepted: str) -> None:
    """A44, A41: `accept` names the held record by its id, a GUID in any spelling; other ids know case."""
    id = "held" if accepted == "HELD" else accepted if accepted == "held" else GUID.upper()
    held = _CALL % (id, "2025-03-10T10:00:00Z", 43_201, "")
    steps = (
        f"  - cdr: {held}\n    expect: {{outcome: rejected, reason: implausible_duration, events: []}}\n"
        f'  - accept: {{id: "{accepted}", at: 2025-03-11T00:00:00Z}}\n    expect: {{outcome: rated, minutes: 721}}\n'
        f"  - cdr: {held}\n    expect: {{outcome: duplicate}}\n"
    )
    (folder / "one.yaml").write_text(SCENARIO + steps)
    code, said = check(str(folder))
    assert (code, "unknown_letter" in said) == ((1, True) if accepted == "HELD" else (0, False)), said


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("2025-04-04T00:00:00Z", "outcome: rated, late: true"),
        ("2025-04-03T23:59:59Z", "outcome: rated, late: false"),
        ("2025-03-28T22:00:00Z", "outcome: rated, late: false"),
        ("2025-03-28T21:59:59Z", "outcome: rejected, reason: impossible_time"),
    ],
)
def test_received_is_the_arrival(folder: Path, received: str, expected: str) -> None:
    """A43: it decides what is late, and a start more than 36 hours after it is refused."""
    call = _CALL % ("r", "2025-03-30T10:00:00Z", 0, f", received: {received}")
    (folder / "one.yaml").write_text(SCENARIO + f"  - cdr: {call}\n    expect: {{{expected}}}\n")
    code, said = check(str(folder))
    assert code == 0, said


def test_ids_that_look_like_those_of_the_runner(folder: Path) -> None:
    """A scenario may call its users and purchases what it likes: nothing of it gets lost for its name."""
    users = "  - {id: user, country: US}\n  - {id: deck, country: GB}\n  - {id: user-0, country: GB}\n"
    named = (
        SCENARIO.replace("id: f1", "id: step-1").replace("users:\n", f"users:\n{users}").replace("ada", "user-1")
    )
    step = "  - license: {user: user-0, assign: MCOPSTN1, at: 2025-03-11T00:00:00Z}\n"
    expected = '    expect: {pools: {"MCOPSTN1/GB/2025-03": {total: 3000}}}\n'
    (folder / "one.yaml").write_text(named + step + expected)
    code, said = check(str(folder))
    assert code == 0, said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('amount: "10"', 'amount: "10.0000001"', "refused, bad_amount: amount: expected at most 6 decimals"),
        ("type: user_out", "type: user_aout", "refused, malformed: type: expected one of 52 values such as "),
        ("seconds: 61", f"seconds: {10**20}", "refused, malformed: duration_s: "),
    ],
)
def test_a_step_that_is_refused_by_the_way(folder: Path, old: str, new: str, said: str) -> None:
    """Nothing was expected of it, so it is no difference; but the author gets a remark."""
    without = "".join(line for line in SCENARIO.splitlines(keepends=True) if "expect" not in line)
    (folder / "one.yaml").write_text(without.replace(old, new))
    code, output = check(str(folder))
    assert code == 0
    assert said in output


def test_a_duplicate_costs_nothing(folder: Path) -> None:
    """`charge` is the money debited for the call; what else was expected of a rated call is missing, and why."""
    call = SCENARIO[SCENARIO.index("  - cdr") :]
    again = call.replace("outcome: rated, minutes: 2", 'outcome: duplicate, charge: "0", unfunded_charge: "0"')
    (folder / "one.yaml").write_text(SCENARIO + again)
    assert check(str(folder))[0] == 0
    (folder / "one.yaml").write_text(SCENARIO + call.replace("outcome: rated, ", ""))
    code, said = check(str(folder))
    assert (code, "minutes: expected 2, got no rated call (duplicate)" in said) == (1, True)


def test_one_bad_file_among_others(folder: Path) -> None:
    """The others are played all the same, a deck that cannot be read being the fault of its scenario; exit 2."""
    (folder / "a.yaml").write_text(SCENARIO.replace("rate_deck: deck.csv", "rate_deck: none.csv"))
    (folder / "b.yaml").write_text(SCENARIO)
    code, said = check(str(folder))
    assert code == 2
    assert "ok      b.yaml" in said
    assert "a.yaml:2: rate_deck: " in said


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('amount: "10"', "amount: 10.0", 7, "quoted decimal"),
        ("seconds: 61", "second: 61", 8, "not a field"),
        ("credits: enabled", "credits: perhaps", 3, "'enabled' or 'not_set_up'"),
        ("outcome: rated", "outcome: perhaps", 9, "outcome"),
        ("at: 2025-03-01T00:00:00Z}\n  - cdr", "at: 2025-03-01T00:00:00}\n  - cdr", 7, "timezone"),
        ("  - fund:", "  - fnud:", 7, "exactly one of"),
        ("scenario: one", "scenario: one\nscenario: two", 2, "stands twice"),
        ("tenant: {id", "tenant: [id", 3, "not YAML"),
        ("steps:", "settings: {linked_cap: true}\nsteps:", 6, "linked_caps"),
        ("steps:", "settings:\n  linked_caps: true\n  straddle: maybe\nsteps:", 8, "straddle"),
        ("rate_deck: deck.csv", "rate_deck: none.csv", 2, "rate_deck: "),
        ("currency: USD", "currency: DOLLAR", 3, "expected an ISO 4217 code such as USD, got 'DOLLAR'"),
        ("country: US", "country: NO", 5, 'write "NO"'),
        ("country: US", "country: USA", 5, "expected an ISO 3166-1 alpha-2 code such as US, got 'USA'"),
        (
            "id: ada,",
            "id: ada, outbound_policy: PSTNDisabled,",
            5,
            "expected one of DialoutCPCDisabledPSTNDomestic, ",
        ),
        ("users:", "users:\n  - {id: ada}", 1, "users: expected every user once, got 'ada' again"),
        ("from: 2025-03-01T00:00:00Z}", "from: 2025-03-01T00:00:00Z, to: 2025-02-01T00:00:00Z}", 5, "after `from`"),
        ("scenario: one", f"scenario: {'[' * 5000}{']' * 5000}\nother: one", 1, "DEPTH_MAX"),
    ],
)
def test_a_file_that_is_no_scenario(folder: Path, old: str, new: str, line: int, said: str) -> None:
    """Exit 2, naming file, line and field."""
    path = folder / "one.yaml"
    path.write_text(SCENARIO.replace(old, new, 1))
    code, _ = check(str(path))
    assert code == 2
    with pytest.raises(RaterError) as error:
        read_scenario(path)
    assert f"one.yaml:{line}:" in str(error.value)
    assert said in str(error.value)
