"""What the plans of all functions share: a draft of a plan, and the model's positive class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.query.expressions import Scope
from engine.query.names import ModelNames
from engine.query.plan import Amounts, Component, Multiset
from engine.query.tree import Call

__all__ = [
    "Builder",
    "Counts",
    "Draft",
    "Values",
    "both_classes",
    "count",
    "positive_of",
    "total",
    "two_sided",
]

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan without its filter: the attributes of `plan.Plan` of these names."""

    components: tuple[Component, ...]
    of_amounts: Callable[[Amounts], tuple[Values, Counts]] | None = None
    of_multiset: Callable[[Multiset, int], tuple[float | None, int]] | None = None
    is_count: bool = False


Builder = Callable[[Call, Scope], Draft]
"""Drafts the plan of a call; the scope writes its SQL and keeps what it binds."""


def positive_of(names: ModelNames) -> str | None:
    """Give the positive class: the declared one, else of exactly two the greater in text order."""
    if names.positive is not None:
        return names.positive
    known = frozenset(names.classes)
    return max(known) if len(known) == 2 else None


def two_sided(names: ModelNames) -> bool:
    """Whether a score says something about every class: there are exactly two."""
    return len(frozenset(names.classes)) == 2


def both_classes(scope: Scope) -> str:
    """Give SQL, BOOLEAN: the row has a label and a prediction, and both are classes.

    A number is a class when it is whole.
    """
    words = []
    for name in ("label", "prediction"):
        number = scope.read(name, "number")
        words.append(f"{scope.read(name, 'text')} IS NOT NULL")
        words.append(f"({number} IS NULL OR {number} = trunc({number}))")
    return f"({' AND '.join(words)})"


def count(name: str, sql: str) -> Component:
    """Give a component that counts the rows where `sql` is true."""
    return Component(name, "count", sql)


def total(name: str, sql: str) -> Component:
    """Give a component that adds up `sql` where it is finite."""
    return Component(name, "sum", sql)
