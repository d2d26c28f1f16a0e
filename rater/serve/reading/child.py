"""A command of `rater` that ends with the process that started it: `python -m rater.serve.reading.child WORDS`.

Its standard input is a pipe whose other end that process alone holds, and never writes to.  However that process
ends, also by kill -9, the system closes the pipe; then this one ends at once, in the midst of its work.  So it is
for commands that only read.
"""

import os
import runpy
import threading

#: As a shell says of a process that was killed.
_KILLED = 128 + 9


def main() -> None:
    """Watch the pipe, then run the command; it finds an empty standard input."""
    held = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_the_other, args=(held,), daemon=True).start()
    runpy.run_module("rater", run_name="__main__", alter_sys=True)


def _end_with_the_other(held: int) -> None:
    while os.read(held, 1):
        pass
    os._exit(_KILLED)


if __name__ == "__main__":
    main()
