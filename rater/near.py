"""What somebody may have meant by a misspelt name.

Refuses to know what the names are of, and to correct anything: it asks.
"""

from collections.abc import Iterable
from difflib import get_close_matches

#: Two transposed letters of eight are as near as this; names that share only a beginning are not.
_ALIKE = 0.75


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that ends a message, such as "; did you mean MCOPSTN1?"; empty when no known name is near."""
    by_capitals = {choice.upper(): choice for choice in known}
    found = get_close_matches(name.strip().upper(), by_capitals, n=1, cutoff=_ALIKE)
    return f"; did you mean {by_capitals[found[0]]}?" if found else ""
