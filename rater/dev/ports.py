"""Ports of this machine."""

import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from itertools import islice
from pathlib import Path

from rater.wire.errors import RaterError

#: Below those that systems give out by themselves, Linux from 32,768: until somebody listens on one of these, it
#: becomes the port of no outgoing connection, and of nobody who asks for any port.
OURS = range(20_000, 32_768)


def must_be_free(*ports: int) -> None:
    """Another cluster on our port would be found in place of ours, and records would go there."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as wrong:
                raise RaterError(
                    f"127.0.0.1:{port}: another process has this port ({wrong.strerror}), and it is no broker of"
                    " this folder; give another with --port, or use that broker with --bootstrap"
                ) from wrong


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now, of TCP or of UDP; none is given twice while this process runs."""
    begins = secrets.randbelow(len(OURS))
    ports = [*OURS[begins:], *OURS[:begins]]
    found = list(islice((port for port in ports if _is_free(port, kind) and _was_claimed(port)), count))
    if len(found) < count:
        raise RaterError(f"127.0.0.1: expected {count} free ports from {OURS[0]} to {OURS[-1]}, found {len(found)}")
    return found


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


#: What this process was given.
_CLAIMED: set[int] = set()


def _was_claimed(port: int) -> bool:
    """Whether the port is this process's now: a lock on its byte of a file, which ends with the process."""
    if port in _CLAIMED:
        return False
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _CLAIMED.add(port)
    return True


@cache
def _claims() -> int:
    """The file of this user's processes."""
    path = Path(tempfile.gettempdir()) / f"rater-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
