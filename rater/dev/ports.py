"""Ports of this machine."""

import socket

from rater.wire.errors import RaterError


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
    """Ports of 127.0.0.1 that nobody uses now, of TCP or of UDP."""
    probes = [socket.socket(type=kind) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
