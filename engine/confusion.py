"""Confusion matrices by minute: the public view over the cells of all panes."""

__all__ = ["CONFUSION_VIEWS", "PUBLIC_PANE_S"]

PUBLIC_PANE_S = 60
"""Panes of the public matrix in seconds, however fine the stored ones are (DESIGN §3)."""

# Twice the remainder, so that times before 1970 are rounded down as well. Cells whose events were
# all taken back sum to zero and are left out.
_CONFUSION_MATRIX = """
select
    model_id, time_basis,
    make_timestamp((pane_s - (pane_s % 60 + 60) % 60) * 1000000) as pane_start,
    label, prediction, sum(count)::bigint as count
from cell_panes
group by model_id, time_basis, pane_start, label, prediction
having sum(count) <> 0
"""

CONFUSION_VIEWS: dict[str, str] = {"confusion_matrix": _CONFUSION_MATRIX}
