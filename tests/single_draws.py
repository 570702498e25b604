"""A hypothesis strategy that draws once for all the arguments of a small value. Here: only that.

A list of forty files with three fields each costs hypothesis a hundred and twenty draws, and drawing is nearly all
that a property of a pure rule costs. One integer, read as digits whose bases are the numbers of choices, says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

# up to here hypothesis draws evenly; beyond it favours small numbers, which would be the first choices
MOST_COMBINATIONS = 2**24


def builds_at_once(build: Callable[..., T], *choices: Sequence[Any]) -> st.SearchStrategy[T]:
    """`build(one of the first choices, one of the second, ...)`, every combination equally likely.

    Shrinks towards the first of each. Raises ValueError beyond 2**24 combinations.
    """
    combinations = prod(map(len, choices))
    if not 0 < combinations <= MOST_COMBINATIONS:
        raise ValueError(f"drawing at once: {combinations} combinations; valid are 1 to {MOST_COMBINATIONS}")

    def built(number: int) -> T:
        arguments = []
        for choice in choices:
            number, index = divmod(number, len(choice))
            arguments.append(choice[index])
        return build(*arguments)

    return st.integers(0, combinations - 1).map(built)


def tuples_at_once(*choices: Sequence[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A tuple of one of each of the choices."""
    return builds_at_once(lambda *parts: parts, *choices)


def subsets_at_once(of: Sequence[T]) -> st.SearchStrategy[frozenset[T]]:
    """Any set of some of these, each equally likely; shrinks towards none. At most 24 fit."""
    if 2 ** len(of) > MOST_COMBINATIONS:
        raise ValueError(f"drawing a subset at once: of {len(of)} things; at most 24 fit")
    return st.integers(0, 2 ** len(of) - 1).map(
        lambda bits: frozenset(each for place, each in enumerate(of) if bits >> place & 1)
    )
