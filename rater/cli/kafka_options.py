"""The options by which every command finds the cluster, and how it talks to it."""

import asyncio
import logging
import shlex
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from rater.kafka.access_errors import DeniedError
from rater.kafka.answering import Answering
from rater.kafka.port import Doubt
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.ops.written_settings import read_settings
from rater.wire.errors import Exit, RaterError

Bootstrap = Annotated[str, typer.Option(envvar="RATER_BOOTSTRAP", help="Addresses of brokers, host:port,...")]
Prefix = Annotated[str, typer.Option(envvar="RATER_PREFIX", help="Begins every topic's name.")]

_Answer = TypeVar("_Answer")


def kafka_settings(bootstrap: str = DEFAULT_BOOTSTRAP, prefix: str = "") -> KafkaSettings:
    """Settings from the environment (RATER_SECURITY, RATER_USERNAME, RATER_PASSWORD_FILE, ...) and the options."""
    return read_settings(KafkaSettings, bootstrap=bootstrap, prefix=prefix)


def talk(settings: KafkaSettings, service: str, work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """The answer of a cluster; what goes wrong is one line, and of a missing right, who has it.

    `service` is the one of rater.ops.manifests.services whose rights the work needs.
    """
    try:
        with silent_library():
            return asyncio.run(_answered(settings, work))
    except DeniedError as denied:
        raise RaterError(f"{denied}; {who_may(settings, service)}", denied.exit) from denied
    except Doubt as doubt:
        raise RaterError(f"Kafka at {settings.bootstrap} did not answer: {doubt}", Exit.UNREACHABLE) from doubt


@contextmanager
def silent_library() -> Iterator[None]:
    """The client library logs nothing meanwhile: a command says it itself."""
    library = logging.getLogger("aiokafka")
    before = library.level
    library.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        library.setLevel(before)


async def _answered(settings: KafkaSettings, work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """The answer; whoever waits for a broker that does not answer is informed."""
    asyncio.get_running_loop().set_exception_handler(without_broken_connections)
    async with Answering(settings, say_waiting) as answering:
        return await answering.answer(work)


def without_broken_connections(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As the loop's own handler, but for what the library's connections leave behind when they break.

    A broker that refuses a certificate breaks a connection on which the library waits twice, and asyncio prints a
    traceback of the second; the command's one line has the first.
    """
    if not isinstance(context.get("exception"), OSError | KafkaError):
        loop.default_exception_handler(context)


def say_waiting(line: str) -> None:
    """Print what a command waits for."""
    typer.echo(line, err=True)


def who_may(settings: KafkaSettings, service: str) -> str:
    """Whose rights would do, and the command that prints how to grant them."""
    words = ["rater acls", "--service", service]
    words += ["--prefix", settings.prefix] if settings.prefix else []
    words += ["--mtls"] if settings.security == "SSL" else []
    return f"`{' '.join(words)}` prints the commands that grant what user rater-{service} needs"


def kafka_options(bootstrap: str, prefix: str) -> str:
    """The options that name the cluster in a command that is printed for people to type."""
    words = ["--bootstrap", bootstrap, *(["--prefix", prefix] if prefix else [])]
    return f" {shlex.join(words)}"
