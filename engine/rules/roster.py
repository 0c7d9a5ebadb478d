"""The roster: which models are watched, since when, and the groups that were seen of each."""

from collections.abc import Iterable, Mapping

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.asking import number
from engine.rules.panel import Panel, Stand
from engine.rules.panels import Panels
from engine.rules.rowset import Rowset
from engine.rules.states import NONE, SECOND_US
from engine.rules.tracks import OTHER
from engine.watermark import NEVER

__all__ = ["MODEL_NO", "Roster", "chunks"]

Ints = npt.NDArray[np.int64]

MODEL_NO = "(SELECT w.model_no FROM watched w WHERE w.model_id = e.model_id)"
"""SQL over ``e.model_id`` for the number of a watched model, else NULL."""

_CHUNK = 1 << 18


def chunks(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """Give conditions on `seq` that cut the stored events into ranges of lines."""
    lines = number(cursor, "SELECT max(seq) + 1 FROM events_stored")
    return [f"seq >= {low} AND seq < {low + _CHUNK}" for low in range(0, lines, _CHUNK)]


class Roster:
    """Numbers the watched models, and lets models and groups join the panels.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    rowset : Rowset

    Attributes
    ----------
    watched : pyarrow.Array
        Ids of the models in the order of their numbers.
    started : dict of int to int
        Time (µs) of the first prediction line of the models that were heard of.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, rowset: Rowset) -> None:
        self._cursor = cursor
        self._rowset = rowset
        self._numbers: dict[str, int] = {}
        self._groups: dict[tuple[int, str], set[str]] = {}
        self.started: dict[int, int] = {}
        self.watched = pa.array([], pa.string())

    def number(self, model_id: str) -> int:
        """Give the number of a model; a new one for a model that is not watched yet."""
        return self._numbers.setdefault(model_id, len(self._numbers))

    def settle(self) -> None:
        """Make the table `watched` of all models numbered so far."""
        self.watched = pa.array(list(self._numbers), pa.string())
        numbers = pa.array(range(len(self._numbers)), pa.int64())
        self._cursor.register(
            "b_watched", pa.table({"model_id": self.watched, "model_no": numbers})
        )
        self._cursor.execute("CREATE OR REPLACE TEMP TABLE watched AS FROM b_watched")
        self._cursor.unregister("b_watched")

    # ---- at a start -------------------------------------------------------------------------

    def rejoin(
        self, panels: Panels, before: dict[tuple[str, str | None], Stand], done_s: int
    ) -> None:
        """Let the models and groups that were known join again, where they stood.

        Parameters
        ----------
        panels : Panels
        before : dict
            What `engine.rules.log.stands` gives.
        done_s : int
            The watermark in seconds; boundaries up to it were passed already.
        """
        self.started = dict(
            self._cursor.execute(
                "SELECT model_no, epoch_us(first_event) FROM models_known"
                " JOIN watched USING (model_id) WHERE first_event IS NOT NULL ORDER BY model_no"
            ).fetchall()
        )
        for panel in panels:
            if panel.group is not None:
                self._find_groups(panel, panel.group, _most(panels, panel.group))
        rows = self._cursor.execute(
            "SELECT model_no, property, group_value FROM rule_groups JOIN watched USING (model_id)"
            " ORDER BY place"
        ).fetchall()
        seen: dict[tuple[int, str], list[str | None]] = {}
        for model_no, name, group in rows:
            seen.setdefault((model_no, name), []).append(group)
            self._groups.setdefault((model_no, name), set()).add(group)
        passed_us = NEVER if done_s == NONE else done_s * SECOND_US
        for panel in panels:
            for model_no in sorted(panel.rules.keys() & self.started.keys()):
                start = _after(passed_us, self.started[model_no], panel)
                of_model: list[str | None] = [None]
                if panel.group is not None:
                    of_model = seen.get((model_no, panel.group), [])
                for group in of_model:
                    panel.join(model_no, group, self.started[model_no], start, before)

    def _find_groups(self, panel: Panel, name: str, most: int) -> None:
        """Find the groups of a property that no rule has asked for before, in order of lines."""
        models = ", ".join(str(each) for each in panel.models)
        if number(
            self._cursor,
            "SELECT count(*) FROM rule_groups JOIN watched USING (model_id)"
            f" WHERE property = $name AND model_no IN ({models})",
            {"name": name},
        ):
            return
        for bounds in chunks(self._cursor):
            self._cursor.register("w_rows", self._rowset.of_store(MODEL_NO, bounds, 0))
            found = self._cursor.execute(
                f"{self._distinct(name)} WHERE model_no IN ({models})"
                " GROUP BY ALL ORDER BY min(seq)"
            ).fetchall()
            self._cursor.unregister("w_rows")
            self._note_groups(name, {(m, g): us for m, g, us in found}, most)

    # ---- in a block -------------------------------------------------------------------------

    def join_models(
        self,
        panels: Iterable[Panel],
        rows: pa.Table,
        watched: npt.NDArray[np.bool_],
        told: tuple[Ints, Ints],
    ) -> None:
        """Let models join whose first prediction is in a block.

        Parameters
        ----------
        panels : iterable of Panel
        rows : pyarrow.Table
            All predictions of the block.
        watched : bool, shape (predictions,)
            Whether its model is watched.
        told : tuple of int64, shape (predictions,)
            Number of the model, and the watermark behind the line, µs.
        """
        model_no, arrival = told
        where = np.flatnonzero(watched)
        present, first = np.unique(model_no[where], return_index=True)
        for number_, place in zip(present.tolist(), where[first].tolist(), strict=True):
            if number_ in self.started:
                continue
            first_us = int(rows["event_us"][place].as_py())
            self.started[number_] = first_us
            for panel in panels:
                if panel.group is None and number_ in panel.rules:
                    start = _after(int(arrival[place]), first_us, panel)
                    panel.join(number_, None, first_us, start)

    def join_groups(self, panels: Panels, found: pa.Table) -> None:
        """Let groups join that a prediction names for the first time, in order of lines."""
        names = sorted({panel.group for panel in panels if panel.group is not None})
        if not names or not len(found):
            return
        present = np.unique(found["model_no"].to_numpy()).tolist()
        self._cursor.register("w_rows", found)
        for name in names:
            # Whose groups have reached the limit brings no new ones.
            open_ = [m for m in present if OTHER not in self._groups.get((m, name), ())]
            if not open_:
                continue
            rows = self._cursor.execute(
                f"{self._distinct(name)} WHERE model_no IN ({', '.join(map(str, open_))})"
                " GROUP BY ALL ORDER BY min(seq)"
            ).fetchall()
            arrivals = {(model_no, group): us for model_no, group, us in rows}
            for (model_no, group), us in self._note_groups(
                name, arrivals, _most(panels, name)
            ).items():
                for panel in panels:
                    if panel.group == name and model_no in panel.rules:
                        start = _after(us, self.started[model_no], panel)
                        panel.join(model_no, group, self.started[model_no], start)
        self._cursor.unregister("w_rows")

    def _distinct(self, name: str) -> str:
        return (
            f"SELECT model_no, coalesce({self._rowset.text(name)}, '__missing__') AS g,"
            " arg_min(arrival_us, seq) FROM w_rows r"
        )

    def _note_groups(
        self, name: str, found: Mapping[tuple[int, str], int], most: int
    ) -> dict[tuple[int, str], int]:
        """Store the groups that are new, at most so many of a model; gives them."""
        new = {}
        models = list(self._numbers)
        for (model_no, told), us in found.items():
            known = self._groups.setdefault((model_no, name), set())
            group = OTHER if told not in known and len(known) >= most else told
            if group not in known:
                known.add(group)
                new[model_no, group] = us
                self._cursor.execute(
                    "INSERT INTO rule_groups SELECT ?, ?, ?, count(*) FROM rule_groups",
                    [models[model_no], name, group],
                )
        return new


def _most(panels: Panels, name: str) -> int:
    """Give the largest limit of groups that a rule has for a property."""
    return max(panel.track.series.limit for panel in panels if panel.group == name)


def _after(watermark_us: int, first_us: int, panel: Panel) -> int:
    """Give the first boundary behind a watermark.

    Several inputs have no watermark before each has begun: then all is still to be evaluated from
    the model's first event on.
    """
    step = panel.track.step_s
    time_s = (first_us if watermark_us == NEVER else watermark_us) // SECOND_US
    return time_s // step * step + step
