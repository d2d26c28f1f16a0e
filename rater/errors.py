"""The one error that people see: what is wrong, where, what was expected, what to do."""

from rater.exits import Exit


class RaterError(Exception):
    """An error that a person can act on; the command line prints it as one line and exits with `exit`."""

    def __init__(self, message: str, exit: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.exit = exit
