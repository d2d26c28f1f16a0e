"""A long list in pages, so that a change reads and writes one page and not the whole list.

The list's owner keeps one small entry for each page, in order; the pages themselves are entities, found by number.
It does not depend on what is in the list or where pages are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

#: A page holds at most so many; one that would hold more is divided evenly, but the last one is filled up.
PAGE_MAX = 100


class PageEntry(Protocol):
    """What a list of pages keeps of each page."""

    @property
    def number(self) -> int:
        """Under which its entity is found."""


_Entry = TypeVar("_Entry", bound=PageEntry)
_Item = TypeVar("_Item")


def replaced(
    pages: tuple[_Entry, ...],
    start: int,
    end: int,
    items: Sequence[_Item],
    save: Callable[[int, Sequence[_Item]], _Entry],
    most: int | None = None,
) -> tuple[_Entry, ...]:
    """The entries when `items` replace pages `start` up to `end`; `save` keeps one page's items.

    A page holds at `most` so many; PAGE_MAX by default.  Numbers are used again, so that there are no
    more entities than the list ever had pages at once.
    """
    most = most or PAGE_MAX
    numbers = _free_numbers(pages, start, end)
    size = most if end == len(pages) else _even(len(items), most)
    new = [save(next(numbers), items[first : first + size]) for first in range(0, len(items), size)]
    return (*pages[:start], *new, *pages[end:])


def _even(items: int, most: int) -> int:
    """How many go into each of as few pages as can be."""
    pages = -(-items // most) or 1
    return -(-items // pages) or 1


def _free_numbers(pages: Sequence[PageEntry], start: int, end: int) -> Iterator[int]:
    yield from [page.number for page in pages[start:end]]
    used = {page.number for page in pages}
    number = 0
    while True:
        number += 1
        if number not in used:
            yield number
