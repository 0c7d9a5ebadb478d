"""The detector functions: what each measures of the rows of a bucket, and on which side it looks.

Source: contracts.md ELi-15 and ELi-16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["FUNCTIONS", "REFUSED", "Base", "Function"]

Base = Literal[
    "count",
    "distinct_count",
    "mean",
    "median",
    "min",
    "max",
    "varp",
    "sum",
    "rare",
    "freq_rare",
    "time_of_day",
    "time_of_week",
]


@dataclass(frozen=True, slots=True)
class Function:
    """One detector function.

    Attributes
    ----------
    bases : tuple of str
        What is measured; ``metric`` measures three things, and has a series for each of them.
    side : int
        -1: only what is low is unusual; 1: only what is high; 0: both.
    needs_field : bool
        Whether `field_name` must be given; else it must not.
    zero : bool
        Whether a bucket without rows of a series means the value 0; else it says nothing.
    counts : bool
        Whether values are counts: their spread grows with their root.
    needs : tuple of str
        Of ``by`` and ``over``, which must be given.
    """

    name: str
    bases: tuple[Base, ...]
    side: int = 0
    needs_field: bool = False
    zero: bool = False
    counts: bool = False
    needs: tuple[str, ...] = ()


def _sided(
    name: str,
    base: Base,
    *,
    needs_field: bool = True,
    zero: bool = False,
    counts: bool = False,
) -> list[Function]:
    """Give a function and its two one-sided forms."""
    return [
        Function(named, (base,), side, needs_field=needs_field, zero=zero, counts=counts)
        for named, side in ((name, 0), (f"low_{name}", -1), (f"high_{name}", 1))
    ]


_ALL = [
    *_sided("count", "count", needs_field=False, zero=True, counts=True),
    *_sided("non_zero_count", "count", needs_field=False, counts=True),
    *_sided("distinct_count", "distinct_count", zero=True, counts=True),
    *_sided("mean", "mean"),
    *_sided("median", "median"),
    *_sided("varp", "varp"),
    *_sided("sum", "sum", zero=True),
    *_sided("non_null_sum", "sum"),
    Function("min", ("min",), needs_field=True),
    Function("max", ("max",), needs_field=True),
    Function("metric", ("mean", "min", "max"), needs_field=True),
    Function("rare", ("rare",), needs=("by",)),
    Function("freq_rare", ("freq_rare",), needs=("by", "over")),
    Function("time_of_day", ("time_of_day",)),
    Function("time_of_week", ("time_of_week",)),
]

_BY_NAME = {each.name: each for each in _ALL}
_SHORT = {"avg": "mean", "nzc": "non_zero_count", "dc": "distinct_count"}

FUNCTIONS: Mapping[str, Function] = {
    **_BY_NAME,
    # Elastic's other names for the same functions.
    **{
        f"{side}{short}": _BY_NAME[f"{side}{name}"]
        for short, name in _SHORT.items()
        for side in ("", "low_", "high_")
    },
}
"""By name; a function's own name is its long one."""

REFUSED: Mapping[str, str] = {
    "lat_long": "properties are scalars here: there are no geographic points",
    "info_content": "the information content of texts is not measured",
    "high_info_content": "the information content of texts is not measured",
    "low_info_content": "the information content of texts is not measured",
}
"""Functions of the contract that do not exist here, and why."""
