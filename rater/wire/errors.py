"""The one error that people see, and the closed list of exit codes that scripts may rely on."""

import errno
from enum import IntEnum

#: What an operating system says when there is no room: for anybody, or for this user.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    FAILED = 1  # the command ran, and what it checks is not so (a scenario differs, a list changes too much)
    USAGE = 2  # the command line or a file is wrong; nothing was done with it
    REFUSED = 3  # the run went through; some records were refused and kept as dead letters
    STORE_IN_USE = 4  # another process has the store
    STORE_TOO_NEW = 5  # the store was written by a newer version
    DISK_FULL = 6  # nothing of the last batch was kept; free some space and run again
    UNREACHABLE = 7  # no Kafka broker answers
    PAYMENT_UNKNOWN = 8  # the payment gateway gave no clear answer; run again, nothing is paid twice
    DENIED = 9  # the Kafka user, password or certificate does not allow this; `rater acls` prints the rights
    STORE_DAMAGED = 10  # the store's bytes are not what was written, or its disk fails; restore a backup
    INTERRUPTED = 130


class RaterError(Exception):
    """An error that a person can act on; the command line prints it as one line and exits with `exit`."""

    def __init__(self, message: str, exit: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.exit = exit
