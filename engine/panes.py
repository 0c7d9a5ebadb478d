"""The words that reductions share: panes, score bins, classes and names, as SQL."""

__all__ = ["NUMBERS", "class_of", "dirty_span", "pane_of", "quoted", "score_bin", "text"]

NUMBERS = "('DOUBLE', 'BIGINT', 'UBIGINT', 'HUGEINT')"
"""The JSON types, as DuckDB names them, whose values are numbers."""


def pane_of(time: str, pane_s: int) -> str:
    """Give SQL for the start, in whole seconds, of the pane of a TIMESTAMP expression.

    Whole-number division in DuckDB cuts towards zero, so times before 1970 are shifted first.
    """
    pane_us = pane_s * 1_000_000
    shift = 62_135_596_800 // pane_s + 1  # panes from the year 1 to 1970
    return f"((epoch_us({time}) + {shift * pane_us}) // {pane_us} - {shift}) * {pane_s}"


def quoted(name: str) -> str:
    """Give a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Give a string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def score_bin(score: str) -> str:
    """Give SQL for the bin, 0 to 2000, of a probability: even bins are single points k/1000."""
    nearest = f"round({score} * 1000)"
    return (
        f"(2 * {nearest} + CASE WHEN {score} < {nearest} / 1000 THEN -1"
        f" WHEN {score} > {nearest} / 1000 THEN 1 ELSE 0 END)::SMALLINT"
    )


def class_of(column: str) -> str:
    """Give SQL for a class: NULL for a number with a fraction (as in `engine.label_amounts`).

    Of a column `x`, whatever stands before its name, `x_number` is the number that it is.
    """
    return (
        f"CASE WHEN {column}_number IS NULL OR {column}_number = trunc({column}_number)"
        f" THEN {column} END"
    )


def dirty_span(time: str, pane_s: int) -> str:
    """Give SQL that bounds a time by the panes of `t_dirty`, so that the scan prunes."""
    return (
        f"{time} >= (SELECT make_timestamp(min(pane_s) * 1000000) FROM t_dirty)"
        f" AND {time} < (SELECT make_timestamp((max(pane_s) + {pane_s}) * 1000000) FROM t_dirty)"
    )
