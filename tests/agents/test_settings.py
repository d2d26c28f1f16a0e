"""Settings of the agents: a file, variables over it, and one line for what is wrong."""

from pathlib import Path

import pytest

from rater.agents.service import digest_of
from rater.agents.settings import AgentsSettings
from rater.core.settings import RatingSettings
from rater.kafka.settings import KafkaSettings
from rater.ops.written_settings import read_settings
from rater.wire.errors import RaterError

FILE = """
gateway:
  url: https://pay.example.com
  token: {file: /run/secrets/token}
  answer_timeout_s: 10
sweep_s: 5
"""


def read(text: str | None, folder: Path, **environment: str) -> AgentsSettings:
    path = None
    if text is not None:
        path = folder / "agents.yaml"
        path.write_text(text)
    return read_settings(AgentsSettings, path, environment)


def test_nothing_has_to_be_set(tmp_path: Path) -> None:
    """Safe defaults: it neither pays nor notifies."""
    assert read(None, tmp_path) == AgentsSettings()
    assert read("", tmp_path) == AgentsSettings()


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    """Named by the field's path; what it does not name stays as the file has it; an empty one counts as absent."""
    settings = read(
        FILE,
        tmp_path,
        RATER_GATEWAY_URL="https://other.example.com",
        RATER_GATEWAY_WEBHOOK_SECRETS="[{file: /run/secrets/key}, {env: KEY}]",
        RATER_SWEEP_S="",
        RATER_TICK_S="7",
        RATER_NOTIFY_OUTBOX="/var/lib/rater/outbox.db",
    )
    assert settings.gateway is not None
    assert settings.notify is not None
    assert (settings.gateway.url, settings.gateway.answer_timeout_s) == ("https://other.example.com", 10)
    assert [str(secret.file or secret.env) for secret in settings.gateway.webhook_secrets] == [
        "/run/secrets/key",
        "KEY",
    ]
    assert (settings.sweep_s, settings.tick_s) == (5, 7)
    assert str(settings.notify.outbox) == "/var/lib/rater/outbox.db"


def test_a_digest_names_settings_and_not_the_process(tmp_path: Path) -> None:
    """Each process has an outbox of its own; another gateway, and other rules, are another digest."""
    one = read(FILE, tmp_path, RATER_NOTIFY_OUTBOX="/var/lib/rater/agents-0.db")
    other = read(FILE, tmp_path, RATER_NOTIFY_OUTBOX="/var/lib/rater/agents-1.db")
    assert digest_of(one, RatingSettings()) == digest_of(other, RatingSettings())
    elsewhere = read(FILE, tmp_path, RATER_NOTIFY_OUTBOX="x.db", RATER_GATEWAY_URL="https://other.example.com")
    rules = RatingSettings(emergency_numbers=("IT:1530",))
    digests = {digest_of(one, RatingSettings()), digest_of(elsewhere, RatingSettings()), digest_of(one, rules)}
    assert len(digests) == 3


def test_webhooks_go_over_tls(tmp_path: Path) -> None:
    """`http:` to another machine only where the settings say so; to this machine always."""
    hook = "notify: {{outbox: x.db, webhooks: [{{name: a, url: '{}', secret: {{env: KEY}}{}}}]}}"
    with pytest.raises(RaterError, match=r"expected https, got http://hooks\.example; allow_http permits it"):
        read(hook.format("http://hooks.example", ""), tmp_path)
    for url, more in (
        ("http://hooks.example", ", allow_http: true"),
        ("https://hooks.example", ""),
        ("http://127.0.0.1:9/", ""),
    ):
        assert read(hook.format(url, more), tmp_path).notify is not None


def test_a_secret_may_be_a_variable(tmp_path: Path) -> None:
    """Then the settings hold its name only."""
    settings = read(FILE, tmp_path, RATER_GATEWAY_TOKEN="s3cret")
    assert settings.gateway is not None
    assert settings.gateway.token is not None
    assert settings.gateway.token.env == "RATER_GATEWAY_TOKEN"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("gateway: {url: ftp://x}", {}, "agents.yaml: gateway.url: expected an address such as https://pay.example.com, got 'ftp://x'"),
        (FILE, {"RATER_GATEWAY_URL": "x"}, "RATER_GATEWAY_URL: expected an address such as https://pay.example.com, got 'x'"),
        ("gateway: {url: 'https://x', token: s3cret}", {}, "agents.yaml: gateway.token: expected its place, `file` or `env`, and never the secret itself"),
        ("gateway: {url: 'https://x', token: {file: /x, env: X}}", {}, "agents.yaml: gateway.token: expected either file or env, and not both"),
        ("gatway: {}", {}, "agents.yaml: gatway: expected no setting of this name"),
        ("notify: {}", {}, "agents.yaml: notify.outbox: expected a value, got none"),
        ("sweep_s: -1", {}, "agents.yaml: sweep_s: expected greater than 0, got -1"),
        (None, {"RATER_SWEEP_S": "soon"}, "RATER_SWEEP_S: expected a valid number, unable to parse string as a number, got 'soon'"),
        (None, {"RATER_NOTIFY": "["}, "RATER_NOTIFY: expected a value as in YAML: line 1: expected the node content, but found '<stream end>'"),
        (None, {"RATER_NOTIFY_EMAIL": "host"}, "RATER_NOTIFY_OUTBOX: expected a value, got none\nRATER_NOTIFY_EMAIL: expected a valid dictionary or instance of EmailSettings, got 'host'"),
        ("notify: {outbox: x.db}", {"RATER_NOTIFY_EMAIL": "{sender: a@x.example, recipients: {}}"}, "RATER_NOTIFY_EMAIL: notify.email.host: expected a value, got none"),
        (None, {"RATER_GATEWAY_URL": "https://x", "RATER_GATEWAY_WEBHOOK_SECRETS": "s3cret"}, "RATER_GATEWAY_WEBHOOK_SECRETS: expected a valid tuple"),
        ("notify: {outbox: x.db, 1: a}", {}, "agents.yaml: notify.1: keys should be strings, got 1"),
        ("notify: {outbox: x.db, _env_file: a}", {}, "agents.yaml: notify._env_file: expected no setting of this name"),
        ("_build_sources: a", {}, "agents.yaml: _build_sources: expected no setting of this name"),
        ("1: a", {}, "agents.yaml: expected names with values, got the name 1"),
        ("a: b: c", {}, "agents.yaml: expected YAML: line 1: mapping values are not allowed here"),
        ("- 1", {}, "agents.yaml: expected names with values, got list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(
    text: str | None, environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    """Where, which field, what was expected, what was found; never a secret."""
    with pytest.raises(RaterError) as raised:
        read(text, tmp_path, **environment)
    assert str(raised.value).removeprefix(f"{tmp_path}/") == said


def test_a_mapping_in_a_variable_adds_to_the_file(tmp_path: Path) -> None:
    """Field by field, the deeper variable first: port of the file, sender of the mapping, host of its own variable."""
    settings = read(
        "notify: {outbox: x.db, email: {host: a.example, port: 25, sender: a@x.example, recipients: {}}}",
        tmp_path,
        RATER_NOTIFY="{email: {host: b.example, sender: b@x.example}}",
        RATER_NOTIFY_EMAIL_HOST="c.example",
    )
    assert settings.notify is not None
    assert settings.notify.email is not None
    email = settings.notify.email
    assert (email.port, email.sender, email.host) == (25, "b@x.example", "c.example")


def test_only_who_reads_settings_reads_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that are made in code are what was given; what is chosen on the command line goes before a variable."""
    monkeypatch.setenv("RATER_PREFIX", "blue-")
    monkeypatch.setenv("RATER_SECURITY", "SSL")
    monkeypatch.setenv("RATER_app", "no variable has small letters")
    assert KafkaSettings(prefix="red-").security == "PLAINTEXT"
    assert read_settings(KafkaSettings) == KafkaSettings(prefix="blue-", security="SSL")
    assert read_settings(KafkaSettings, prefix="red-") == KafkaSettings(prefix="red-", security="SSL")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Said with its name."""
    with pytest.raises(RaterError, match=r"nowhere\.yaml: settings cannot be read"):
        read_settings(AgentsSettings, tmp_path / "nowhere.yaml", {})
