"""`/metrics` on a port of this machine, for processes that have no web server of their own."""

from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from rater.wire.errors import RaterError

ADDRESS = "127.0.0.1"


def serve(registry: CollectorRegistry, port: int) -> WSGIServer:
    """Serve the registry from a thread of its own until the process ends or `shutdown`; port 0 chooses a free one.

    Raises RaterError when the port is in use or may not be used.
    """
    try:
        server, _ = start_http_server(port, ADDRESS, registry)
    except OSError as wrong:
        raise RaterError(
            f"--metrics-port: {ADDRESS}:{port} cannot be listened on ({wrong.strerror});"
            " choose another, 0 chooses a free one"
        ) from wrong
    return server
