"""Orders to end calls are carried to switches on a real Kafka, through a kill of the agents."""

import json
from datetime import timedelta
from pathlib import Path

from rater.core.call_control import CallProgress
from tests.agents.pretending import beside, written
from tests.commands import rater
from tests.kafka.deployment import Deployment, until
from tests.kafka.test_calls import Switch, set_up
from tests.world import JAMAICA, LONDON


def test_orders_reach_their_switch_through_a_kill(deployment: Deployment, tmp_path: Path) -> None:
    """Two calls run when a record uses up the credit, and their switch does not answer.  The agents are killed; one
    call ends meanwhile; the switch answers again.  The agents that start then end the other call, and order nothing
    for the one that is over.
    """
    set_up(deployment)
    with beside("freeswitch", "leg-run") as pretended:
        pretended.fails = "silent"
        file = written(tmp_path, pretended.entry(tmp_path, timeout_s=1))
        switch = Switch(deployment, RATER_SWITCHES_FILE=str(file))
        waiting = f'rater_switch_orders_waiting{{switch="{pretended.name}"}}'
        try:
            until(lambda: switch.agents.ready, "the agents to be ready")
            began = switch.now - timedelta(seconds=65)
            until(lambda: switch.may(LONDON)[0], "contoso's credit")
            for id in ("run", "over"):
                switch.send(id, LONDON, "ada", began)
            until(lambda: switch.agents.counted("rater_running_calls") == 2, "the calls to be known")
            switch.record("other", JAMAICA, "bob", switch.now, 180)  # 3 * 0.4: 1 - 1.2 = -0.2
            until(lambda: switch.agents.counted(waiting) == 2, "two orders under way")
            switch.agents.kill()
            switch.send("over", LONDON, "ada", began, progress=CallProgress.ENDED)
            pretended.fails = None
            switch.start()
            until(lambda: pretended.ended == ["leg-run"], "the end of the call")
            series = f'rater_switch_orders_total{{result="obeyed",switch="{pretended.name}"}}'
            until(lambda: switch.agents.counted(series) == 1, "the count")
            records = 'rater_switch_records_total{switch="none"}'
            until(lambda: switch.agents.counted(records) == 1, "the record of the other call")
            where = (f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}")
            looked = rater("doctor", *where, "--switches", file, "--json")
            (check,) = [one for one in json.loads(looked.stdout) if one["name"] == f"switch {pretended.name}"]
            assert check["state"] == "ok"
            assert "it answers status; no record among the latest; the last order" in check["cause"]
        finally:
            switch.agents.kill()
    assert pretended.ordered == ["leg-run"]
