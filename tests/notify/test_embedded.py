"""`rater run --notify`: the embedded rater notifies people with the same notifier."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import yaml

from rater.core.inputs import AnyCommand, FundsAdded, RechargeSettings, TenantConfigured
from rater.wire.codec import encode_input
from tests.notify.world import Mailbox, email_settings, mail_server
from tests.world import at

WHEN = at("2025-03-10")
SETUP: list[AnyCommand] = [
    TenantConfigured(
        tenant="contoso",
        id="1",
        at=WHEN,
        currency="USD",
        credits="enabled",
        recharge=RechargeSettings(enabled=True, trigger="50", amount="100"),
    ),
    FundsAdded(tenant="contoso", id="2", at=WHEN, amount="40"),
]


async def _run(folder: Path, *more: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "rater", "run", "--store", str(folder / "rater.db"), "--json"]
    command += ["--commands", str(folder / "setup.jsonl"), "--notify", str(folder / "notify.yaml")]
    command += ["--gateway", "pretend", *more]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return json.loads(out)["records"], said.decode()


async def _runs(folder: Path) -> tuple[list[str], list[int], str]:
    (folder / "setup.jsonl").write_bytes(b"\n".join(encode_input(command) for command in SETUP))
    email = email_settings(1)
    (folder / "notify.yaml").write_text(yaml.safe_dump({"outbox": str(folder / "outbox.db"), "email": email}))
    first, said = await _run(folder)  # nobody listens on port 1
    async with mail_server(Mailbox()) as mailbox:
        settings = {"outbox": str(folder / "outbox.db"), "email": email_settings(mailbox.port)}
        (folder / "notify.yaml").write_text(yaml.safe_dump(settings))
        second, _ = await _run(folder)
        third, _ = await _run(folder)
    return mailbox.subjects, [first, second, third], said


def test_a_run_notifies(tmp_path: Path) -> None:
    """40 is below 50, so it recharges; the mail server is down during the first run, and nobody is notified twice."""
    subjects, records, said = asyncio.run(_runs(tmp_path))
    assert subjects == ["contoso: recharged with 100 USD"]
    assert records == [3, 0, 0]  # the gateway's answer is the third
    assert "rater: 1 messages wait in the outbox; the next run sends what is due" in said


async def _days(folder: Path, *days: str) -> list[list[str]]:
    """The subjects of the messages of each run, at the end of which it is this day."""
    funds = [FundsAdded(tenant="contoso", id=id, at=at(day), amount="40") for id, day in FUNDS]
    tenant = msgspec.structs.replace(SETUP[0], recharge=None)
    (folder / "setup.jsonl").write_bytes(b"\n".join(encode_input(command) for command in [tenant, *funds]))
    subjects: list[list[str]] = []
    async with mail_server(Mailbox()) as mailbox:
        settings = {"outbox": str(folder / "outbox.db"), "email": email_settings(mailbox.port)}
        (folder / "notify.yaml").write_text(yaml.safe_dump(settings))
        for day in days:
            await _run(folder, "--until", f"{day}T00:00:00Z")
            subjects.append(mailbox.subjects[sum(map(len, subjects)) :])
    return subjects


FUNDS = (("march", "2025-03-10"), ("april", "2025-04-20"))
EXPIRING = "contoso: 40 USD expire within 30 days"


def test_funds_that_expire_soon(tmp_path: Path) -> None:
    """Rule 63: money of 10 March 2025 is forfeited on 10 March 2026; one notice, 30 days before, by time alone."""
    subjects = asyncio.run(_days(tmp_path, "2026-02-07", "2026-02-08", "2026-02-20", "2026-03-09", "2026-03-22"))
    assert subjects == [[], [EXPIRING], [], [], ["contoso: 40 USD expired", EXPIRING]]
