"""The name of an alert rule that was given none."""

import re
from collections.abc import Collection

__all__ = ["rule_name"]

_DEFAULT = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\((.+)\))?", re.DOTALL)
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z0-9]+|[0-9]+")


def rule_name(metric: str, bound: str, taken: Collection[str]) -> str:
    """Name a rule after its metric and bound, unlike all names of the model's other rules.

    Parameters
    ----------
    metric : str
        A name such as ``accuracyRate`` or ``avg(features.age)`` is split into words, any other
        stays as it is.
    bound : str
        ``upper`` or ``lower``.
    taken : collection of str
        Names that are in use.

    Source: wire.md, Arthur.

    >>> rule_name("accuracyRate", "lower", ())
    'Accuracy Rate lower bound'
    >>> rule_name("PSI(features.age)", "upper", {"PSI features.age upper bound"})
    'PSI features.age upper bound 2'
    """
    name = f"{_words(metric)} {bound} bound"
    numbered, number = name, 1
    while numbered in taken:
        number += 1
        numbered = f"{name} {number}"
    return numbered


def _words(metric: str) -> str:
    found = _DEFAULT.fullmatch(metric)
    if found is None:
        return metric
    words = [word[0].upper() + word[1:] for word in _WORD.findall(found[1])]
    return " ".join(words + ([found[2]] if found[2] else []))
