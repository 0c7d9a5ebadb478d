"""The bins behind a PSI in the words of the published table: a row explains its part of the value.

In every row, `psi` is `probability_difference` times `ln_probability_difference`; the rows of one
property, group and period add up to the PSI. So the probabilities are the smoothed ones that the
PSI is made of (`engine.drift`), while counts and totals are those of the rows as they are. Buckets
of numbers are [min, max); None is open.
"""

import math
from itertools import groupby

import numpy as np

from engine.drift import shares
from engine.query.tree import DriftQuery

__all__ = ["psi_buckets"]

Row = dict[str, object]


def psi_buckets(table: list[Row], query: DriftQuery) -> list[Row]:
    """Tell a table of `drift_answer.psi_table` in those words.

    Parameters
    ----------
    table : list of dict
    query : DriftQuery
        What it answers.
    """
    groups = [each.written for each in query.group_by]

    def cell(row: Row) -> tuple[object, ...]:
        return (*(row[name] for name in groups), row.get("rollup"), row["property"])

    told: list[Row] = []
    for _, found in groupby(table, cell):
        told += _told(list(found), groups)
    return told


def _told(rows: list[Row], groups: list[str]) -> list[Row]:
    base = np.array([row["base_count"] for row in rows], np.int64)
    target = np.array([row["target_count"] for row in rows], np.int64)
    p, q = (each[0].tolist() for each in shares(base[None, :], target[None, :]))
    totals = {"base_total": int(base.sum()), "target_total": int(target.sum())}
    return [
        {
            **{name: row[name] for name in groups},
            **({"group_by_property": row[groups[0]]} if groups else {}),
            **({"rollup": row["rollup"]} if "rollup" in row else {}),
            "property": row["property"],
            "bucket": _name(row),
            **_edges(row),
            **_side("base", row["base_count"], p_share),
            **_side("target", row["target_count"], q_share),
            **totals,
            **_difference(p_share, q_share),
            "psi": row["contribution"],
        }
        for row, p_share, q_share in zip(rows, p, q, strict=True)
    ]


def _name(row: Row) -> str:
    category = row["category"]
    return str(category) if category is not None else f"bucket_{int(str(row['bin'])) + 1}"


def _edges(row: Row) -> Row:
    """Both sides are counted into the same buckets."""
    return {
        f"{side}_bucket_{end}": row[edge]
        for side in ("base", "target")
        for end, edge in (("min", "lower"), ("max", "upper"))
    }


def _side(side: str, count: object, share: float) -> Row:
    return {
        f"{side}_count_per_bucket": count,
        f"{side}_probability_per_bucket": share if math.isfinite(share) else None,
        f"{side}_ln_probability_per_bucket": _log(share),
    }


def _difference(p: float, q: float) -> Row:
    before, now = _log(p), _log(q)
    logs = None if before is None or now is None else now - before
    both = q - p
    return {
        "probability_difference": both if math.isfinite(both) else None,
        "ln_probability_difference": logs,
    }


def _log(share: float) -> float | None:
    return math.log(share) if math.isfinite(share) and share > 0 else None
