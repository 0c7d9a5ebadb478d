"""Alert rules on step metrics: from the metric events of a block to evaluations and alerts.

A rule is evaluated at every line that brings a new highest step of its metric, over the values that
the greatest steps have at that line: what lines after it change gives no alert and takes none back.
All of it is a function of the sequence of lines, however it is cut into blocks. A rule begins with
the first line behind its declaration. The rules stand in the same relations as those on metrics of
models, and are told of in the same way. Source: contracts.md DIi-11.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.config import Settings, StepRuleSettings
from engine.rules.panel import Versioned
from engine.rules.states import STATES
from engine.steps.step_rule_definition import least_steps, step_rules_of
from engine.steps.step_rule_log import (
    Watcher,
    declare,
    ids_of,
    stands_of,
    write_evaluations,
    write_step_alerts,
)
from engine.steps.step_rule_series import Part, Series, rows_of
from engine.steps.step_rule_states import Observed, Stand, Stands, Traits, advance
from engine.steps.step_rule_windows import least, windowed

__all__ = ["StepRules"]

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]

_FIRING = STATES.index("firing")
_NONE_GIVEN = pa.table({name: pa.array([], pa.string()) for name in ("alert_id", "model_id")})


class StepRules:
    """Follows the rules on step metrics of the settings on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever it is used. After a roll-back
        a new one is to be made.
    settings : Settings

    Raises
    ------
    ConfigurationError
        See `engine.steps.step_rule_definition`.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
        self._cursor = cursor
        self._rules = step_rules_of(settings)
        self._versioned: list[Versioned] = []
        self._series = Series(cursor)
        self._stood: Mapping[tuple[int, str | None], Stand] = {}
        self._begin()

    def _begin(self) -> None:
        """Follow nothing, until it is said what there is to follow."""
        self._experiments: dict[str, list[int]] = {}
        self._members: set[tuple[str, str]] = set()
        self._begun = False
        self._watchers: list[Watcher] = []
        self._watching: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
        self._stands = Stands.fresh(0)
        self._traits, self._ids = _traits([]), ids_of([])

    # ---- who watches what -------------------------------------------------------------------

    def declare(self, watermark_us: int | None) -> None:
        """Write which rules are in force, and go on where they stood.

        To be called behind every `Watch.open`, which takes all rules but its own out of force.

        Parameters
        ----------
        watermark_us : int or None
            From when on a new version holds.
        """
        self._versioned = declare(self._cursor, self._rules, watermark_us)
        self._begin()
        self._stood = stands_of(self._cursor, self._rules, self._versioned) if self._rules else {}
        followed = [(place, each.settings) for place, each in enumerate(self._rules)]
        followed = [(place, told) for place, told in followed if told.enabled]
        for place, told in followed:
            if told.experiment is not None:
                self._experiments.setdefault(told.experiment, []).append(place)
        self._join([(place, told.job, 0) for place, told in followed if told.job is not None])

    def _join(self, new: list[tuple[int, str, int]]) -> None:
        """Let rules, by place, follow their metric of jobs from a line on."""
        for place, job_id, since_seq in new:
            told = self._rules[place].settings
            number = len(self._watchers)
            group = None if told.experiment is None else job_id
            self._watchers.append(Watcher(self._versioned[place], told, job_id, group))
            code = self._series.watch(job_id, told.step_metric, told.steps)
            plan = self._watching.setdefault((told.function, told.steps), [])
            plan.append((code, number, since_seq))
        self._stands.grow(len(new))
        for number, (place, job_id, _) in enumerate(new, len(self._watchers) - len(new)):
            group = None if self._rules[place].settings.experiment is None else job_id
            stood = self._stood.get((place, group))
            if stood is not None:
                self._stands.put(number, stood)
        self._traits = _traits([each.settings for each in self._watchers])
        self._ids = ids_of(self._watchers)

    def _join_members(self, block_seq: int) -> None:
        """Let rules on experiments follow the jobs that joined these."""
        asked: dict[str, object] = {"experiments": list(self._experiments)}
        if not self._begun:
            self._begun = True
            rows = self._cursor.execute(_MEMBERS_BEFORE, asked | {"before": block_seq}).fetchall()
            self._add_members([(experiment, job_id, 0) for experiment, job_id in rows])
        self._add_members(self._cursor.execute(_MEMBERS_NEW, asked).fetchall())

    def _add_members(self, rows: list[tuple[str, str, int]]) -> None:
        joined = []
        for experiment, job_id, seq in rows:
            if (experiment, job_id) not in self._members:
                self._members.add((experiment, job_id))
                joined += [(place, job_id, seq) for place in self._experiments[experiment]]
        if joined:
            self._join(joined)

    # ---- one block --------------------------------------------------------------------------

    def take(self, block_seq: int) -> pa.Table:
        """Take in the metric events of a block, and store what came of them.

        Parameters
        ----------
        block_seq : int
            The number of the first line of the block, whose metric events are in ``t_steps``, and
            are written to `step_log` already.

        Returns
        -------
        pa.Table
            `alert_id` and `model_id` of the alerts, in order.
        """
        if self._experiments:
            self._join_members(block_seq)
        if not self._watchers:
            return _NONE_GIVEN
        self._cursor.register("w_series", self._series.table)
        found = self._cursor.sql(_LINES).to_arrow_table()
        self._cursor.unregister("w_series")
        code, rows = found["code"].to_numpy(), rows_of(found)
        order = np.lexsort((rows["seq"], code))
        parts = [
            columns
            for part in self._series.take(code[order], rows[order], block_seq)
            for columns in self._see(part)
        ]
        if not parts:
            return _NONE_GIVEN
        return self._follow({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})

    def _see(self, part: Part) -> Iterator[Columns]:
        """Give what rules see of lines, by plan: rules of one function and one length of window."""
        present, starts = np.unique(part.code, return_index=True)
        stops = np.append(starts[1:], len(part.code))
        places = {code: place for place, code in enumerate(present.tolist())}
        for (function, steps), watching in self._watching.items():
            chosen = [each for each in watching if each[0] in places]
            if not chosen:
                continue
            at = np.array([places[code] for code, _, _ in chosen])
            sizes = stops[at] - starts[at]
            watcher = np.repeat(np.array([number for _, number, _ in chosen]), sizes)
            since_seq = np.repeat(np.array([since for _, _, since in chosen]), sizes)
            yield _seen(part, _ranges(starts[at], sizes), watcher, since_seq, (function, steps))

    def _follow(self, seen: Columns) -> pa.Table:
        """Find out what evaluations come to, and store it."""
        if not len(seen["watcher"]):  # all were before the line at which their rule begins
            return _NONE_GIVEN
        order = np.argsort(seen["watcher"], kind="stable")
        seen = {name: column[order] for name, column in seen.items()}
        found = advance(
            self._traits,
            self._stands,
            Observed(seen["watcher"], seen["value"], seen["samples"], seen["time_us"]),
        )
        seen |= {"state": found.state, "since_us": found.since_us}
        told = {name: column[found.told] for name, column in seen.items()}
        write_evaluations(self._cursor, self._ids, told)
        fired = np.flatnonzero(found.state == _FIRING)
        if not len(fired):
            return _NONE_GIVEN
        seen["suppressed_us"] = found.suppressed_us
        order = fired[np.lexsort((seen["watcher"][fired], seen["seq"][fired]))]
        given = {name: column[order] for name, column in seen.items()}
        return write_step_alerts(self._cursor, self._ids, self._watchers, given)


def _traits(told: list[StepRuleSettings]) -> Traits:
    resolve = [t.threshold if t.resolve_threshold is None else t.resolve_threshold for t in told]
    return Traits(
        np.array([each.bound == "upper" for each in told], np.bool_),
        np.array([each.threshold for each in told], np.float64),
        np.array(resolve, np.float64),
        np.array([least_steps(each) for each in told], np.int64),
        np.array([each.wait_steps for each in told], np.int64),
    )


def _ranges(starts: Ints, sizes: Ints) -> Ints:
    """Give the numbers of ranges, one range after the other."""
    behind = np.cumsum(sizes)
    found: Ints = np.arange(behind[-1]) + np.repeat(starts - behind + sizes, sizes)
    return found


def _seen(
    part: Part, places: Ints, watcher: Ints, since_seq: Ints, plan: tuple[str, int]
) -> Columns:
    """Give what each watcher sees at evaluated lines, from the line on at which it begins."""
    begins = part.rows["seq"][part.ends[places] - 1] >= since_seq
    places, watcher = places[begins], watcher[begins]
    ends, counts = part.ends[places], np.minimum(part.ends[places] - part.begins[places], plan[1])
    low, high = (ends - counts).min(initial=len(part.rows)), ends.max(initial=0)
    rows = part.rows[low:high]
    ends = ends - low
    first, last = ends - counts, ends - 1
    return {
        "watcher": watcher,
        "value": windowed(plan[0], np.ascontiguousarray(rows["value"]), ends, counts),
        "samples": counts,
        "start_us": rows["time_us"][first],
        "time_us": rows["time_us"][last],
        "first_step": rows["step"][first],
        "step": rows["step"][last],
        "from_seq": least(np.ascontiguousarray(rows["seq"]), ends, counts),
        "seq": rows["seq"][last],
    }


# A job belongs to an experiment from the first line on that names both.
_MEMBERS_BEFORE = """
SELECT DISTINCT experiment_id, job_id FROM step_log
WHERE experiment_id IN (SELECT unnest($experiments::VARCHAR[])) AND seq < $before
ORDER BY ALL
"""
_MEMBERS_NEW = """
SELECT experiment_id, job_id, min(seq) FROM t_steps
WHERE experiment_id IN (SELECT unnest($experiments::VARCHAR[]))
GROUP BY ALL ORDER BY ALL
"""
_LINES = """
SELECT code, step, value, epoch_us(time) AS time_us, received::BIGINT AS received, line, seq
FROM t_steps JOIN w_series USING (job_id, name)
"""
