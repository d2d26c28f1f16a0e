"""The port of a process's pages: the one that was asked for, or a free one."""

import os
import socket

from rater.wire.errors import RaterError

DEFAULT_HOST = "127.0.0.1"


def port_to_listen_on(port: int) -> int:
    """The port, or a free one in place of 0; RaterError if another process has it."""
    host = os.environ.get("RATER_WEB_HOST", DEFAULT_HOST)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as wrong:
        raise RaterError(
            f"{host}:{port}: the pages of this process cannot be there ({wrong.strerror or wrong}); does another"
            " worker or agent run here? --web-port names another port, --web-port 0 chooses a free one"
        ) from wrong
