"""`rater` with a bug: a record that holds the marker raises where it is decoded, as no record must."""

from collections.abc import Callable
from typing import Any

import rater.engine.batch
import rater.kafka.records
from rater.cli import main
from rater.wire.codec import decode_call, decode_command

MARKER = b"poison"


def faulty(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A decoder that raises at the marker."""

    def raises(raw: bytes) -> Any:
        if MARKER in raw:
            raise OverflowError("a bug")
        return decode(raw)

    return raises


if __name__ == "__main__":
    vars(rater.engine.batch).update(decode_call=faulty(decode_call))
    vars(rater.kafka.records).update(decode_command=faulty(decode_command))
    main()
