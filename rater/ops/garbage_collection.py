"""Python's cyclic garbage collector, tuned for long-lived objects.

A batch makes tens of thousands of values that live as long as it does, the caches hold hundreds of thousands that
live for ever, and none of them refers to itself: at its usual pace the collector visits them all for nothing.
"""

import gc

#: Young values until a look at them; looks until the next older generation is looked at as well.
_THRESHOLDS = (100_000, 50, 100)


def expect_long_lives() -> None:
    """Leave alone what is there already, and look rarely at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
