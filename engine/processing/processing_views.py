"""The public relations of processing: `runs`, `ingests` and `processing_metrics`.

`PROCESSING_VIEWS` maps a name to its SELECT. A count has `count` = `sum` = the number, also zero
where the hour has events of the choice, and no minimum or maximum; an amount has rows only for the
hours in which an event gave it. One branch a column: a filter on `type` or `column_name` leaves the
others unread.
"""

from engine.processing.happenings import HAPPENINGS, Happening, in_force
from engine.processing.hours import BOARDS, Board

__all__ = ["METRIC_COLUMNS", "PROCESSING_VIEWS"]

METRIC_COLUMNS: dict[str, tuple[str, ...]] = {
    board.catalogue: (*(f"{name}_count" for name in board.counts), *board.amounts)
    for board in BOARDS
}
"""What `column_name` may be, by `type`."""


def _happened(happening: Happening) -> str:
    columns = ", ".join((*happening.texts, *happening.amounts))
    return f"SELECT id AS event_id, event_time, {columns} FROM ({in_force(happening)})"


def _column(board: Board, name: str, amounts: str) -> str:
    return (
        f"SELECT '{board.catalogue}' AS type, choice_id, make_timestamp(hour_s * 1000000) AS hour,"
        f" '{name}' AS column_name, {amounts} FROM {board.table} GROUP BY choice_id, hour_s"
    )


def _count(board: Board, name: str) -> str:
    amounts = (
        f"sum({name})::BIGINT AS count, sum({name})::DOUBLE AS sum, NULL::DOUBLE AS min,"
        " NULL::DOUBLE AS max"
    )
    return _column(board, f"{name}_count", amounts)


def _amount(board: Board, name: str) -> str:
    amounts = (
        f"sum({name}_n)::BIGINT AS count, sum({name}_sum) AS sum, min({name}_min) AS min,"
        f" max({name}_max) AS max"
    )
    return f"{_column(board, name, amounts)} HAVING sum({name}_n) > 0"


def _metrics() -> str:
    return " UNION ALL ".join(
        part
        for board in BOARDS
        for part in (
            *(_count(board, name) for name in board.counts),
            *(_amount(board, name) for name in board.amounts),
        )
    )


PROCESSING_VIEWS: dict[str, str] = {
    **{f"{happening.type}s": _happened(happening) for happening in HAPPENINGS},
    "processing_metrics": _metrics(),
}
