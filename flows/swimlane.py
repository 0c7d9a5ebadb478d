"""The swimlane: a lane per influencer, a cell per stretch of time with its highest score."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.sqlclient import query

__all__ = ["LANES", "Lanes", "cell_span_s", "lanes_of"]

LANES = 10
_CELLS = 128
_LIMIT_S = 600.0
_CALM_S = (60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Lanes:
    """The influencers with the highest scores, and their cells.

    Attributes
    ----------
    names : tuple of (str, str)
        Field and value of each lane, that with the highest score first.
    total : int
        How many influencers there are, drawn or not.
    cell_s : int
        Seconds a cell.
    lane, start_s : int64, shape (n,)
        Of the cells: the place of its lane, and the start of its time since the epoch.
    score : float64, shape (n,)
        The highest in the cell, at least the threshold.
    """

    names: tuple[tuple[str, str], ...]
    total: int
    cell_s: int
    lane: npt.NDArray[np.int64]
    start_s: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]


def cell_span_s(span_s: int, length_s: int) -> int:
    """Give the seconds a cell: a multiple of the bucket span, so that at most 128 fill a length.

    A usual length of time (5 min, 3 h, a day) is taken where one is such a multiple and not more
    than twice as long as needed.

    >>> cell_span_s(300, 86_400), cell_span_s(900, 30 * 86_400), cell_span_s(420, 3_600)
    (900, 21600, 420)
    """
    least = -(-length_s // (span_s * _CELLS)) * span_s
    for usual in (*_CALM_S, -(-least // 86_400) * 86_400):
        if least <= usual <= 2 * least and usual % span_s == 0:
            return usual
    return least


def lanes_of(
    data: str, rows: str, span_s: int, within_us: tuple[int, int], threshold: float
) -> Lanes:
    """Read the lanes.

    Parameters
    ----------
    data : str
        The data folder.
    rows : str
        SQL that chooses the rows of `anomaly_influencers`, its literals escaped.
    span_s : int
        Seconds a bucket.
    within_us : (int, int)
        The time drawn.
    threshold : float
        Least score of a cell, 0 to 100.
    """
    cell_s = cell_span_s(span_s, -(-(within_us[1] - within_us[0]) // 1_000_000))
    table = query(
        data,
        f"""
        WITH cells AS (
            SELECT influencer_field_name AS field, influencer_field_value AS value,
                floor(epoch_us(timestamp) / {cell_s * 1_000_000})::BIGINT * {cell_s} AS start_s,
                max(influencer_score) AS score, count(*) AS buckets
            FROM anomaly_influencers
            WHERE {rows} AND influencer_score >= {threshold!r}::DOUBLE
            GROUP BY ALL),
        lanes AS (
            SELECT field, value, count(*) OVER () AS total,
                row_number() OVER (
                    ORDER BY max(score) DESC, sum(buckets) DESC, field, value) AS lane
            FROM cells GROUP BY field, value)
        SELECT lane::BIGINT - 1, lanes.field, coalesce(lanes.value, ''), start_s, score,
            total::BIGINT
        FROM cells JOIN lanes ON cells.field IS NOT DISTINCT FROM lanes.field
            AND cells.value IS NOT DISTINCT FROM lanes.value
        WHERE lane <= {LANES} ORDER BY ALL
        """,  # noqa: S608 - escaped
        _LIMIT_S,
    )
    lane = np.array(table.column(0).to_numpy(), np.int64)
    fields, values = table.column(1).to_pylist(), table.column(2).to_pylist()
    named = dict(zip(lane.tolist(), zip(fields, values, strict=True), strict=True))
    return Lanes(
        tuple(named[place] for place in range(len(named))),
        int(table.column(5)[0].as_py()) if len(table) else 0,
        cell_s,
        lane,
        np.array(table.column(3).to_numpy(), np.int64),
        np.array(table.column(4).to_numpy(), np.float64),
    )
