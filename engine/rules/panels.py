"""Which rules share a panel: those with the same plan over the same windows."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from engine.errors import QueryError
from engine.query.compile import plan_of
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.parse_names import is_truth
from engine.query.plan import Amounts, Component, Plan
from engine.query.tree import Column, DriftQuery
from engine.rules.definition import Rule
from engine.rules.extract import extraction_of
from engine.rules.panel import Panel, Versioned
from engine.rules.rowset import RowColumns
from engine.rules.tracks import AmountTrack, MultisetTrack, Series, Track

__all__ = ["Panels", "coverage_of"]

Ints = npt.NDArray[np.int64]


class Panels:
    """Builds panels, and finds the one that a further rule can share.

    Parameters
    ----------
    columns : RowColumns
        Learns what the rows must have.
    done_s : int
        Boundaries up to it were passed already.
    """

    def __init__(self, columns: RowColumns, done_s: int) -> None:
        self.columns = columns
        self.done_s = done_s
        self._panels: dict[object, Panel] = {}

    def __iter__(self) -> Iterator[Panel]:
        return iter(self._panels.values())

    def __len__(self) -> int:
        return len(self._panels)

    def follow(self, each: Versioned, names: ModelNames, model_no: int) -> None:
        """Let a rule on a query be followed; `names` are those of its model."""
        rule, tree = each.rule, each.rule.metric.tree
        if isinstance(tree, DriftQuery):
            msg = "a drift rule needs a reference set"
            raise TypeError(msg)
        plan = plan_of(tree, names, self.columns)
        group = None if rule.settings.group_by is None else _group(rule, names)
        covered = rule.settings.min_label_coverage > 0
        key = (
            *(plan.where, tuple(sorted(plan.parameters.items(), key=str)), plan.components),
            *(plan.truths, plan.function, rule.time_basis, rule.lookback_s, rule.step_s),
            *(group, rule.settings.group_limit, covered),
            *((names.positive, names.classes) if plan.of_multiset else ()),
            None if rule.metric.is_default else rule.metric.query,
        )
        self.add(key, lambda: self._panel(rule, plan, group, covered=covered), model_no, each)

    def add(self, key: object, make: Callable[[], Panel], model_no: int, each: Versioned) -> None:
        """Add a rule to the panel of a key, which is made if there is none yet."""
        panel = self._panels.get(key)
        if panel is None:
            panel = self._panels[key] = make()
        panel.add_rule(model_no, each)

    def keep(self, key: object, make: Callable[[], Panel], model_no: int) -> None:
        """Keep the windows of a model in the panel of a key, without a rule."""
        if key not in self._panels:
            self._panels[key] = make()
        self._panels[key].rules.setdefault(model_no, [])

    def _panel(self, rule: Rule, plan: Plan, group: str | None, *, covered: bool) -> Panel:
        lookback_s, step_s = rule.lookback_s, rule.step_s
        series = Series(grouped=group is not None, limit=rule.settings.group_limit)
        extraction = extraction_of(plan, self.columns, rule.time_basis, step_s, group)
        kind = AmountTrack if plan.of_amounts is not None else MultisetTrack
        track: Track = kind(extraction, series, lookback_s, step_s)
        coverage = coverage_of(self.columns, lookback_s, step_s) if covered else None
        return Panel(track, coverage, group, self.done_s)


def coverage_of(columns: RowColumns, lookback_s: int, step_s: int) -> AmountTrack:
    """Give the track of the share of a model's events that are labelled, by event time."""
    told = extraction_of(_COVERAGE, columns, "event", step_s, None, every=True)
    return AmountTrack(told, Series(grouped=False, limit=0), lookback_s, step_s)


def _share(amounts: Amounts) -> tuple[npt.NDArray[np.float64], Ints]:
    events, labelled = amounts.counts["events"], amounts.counts["labelled"]
    with np.errstate(invalid="ignore"):
        return labelled / np.where(events > 0, events, np.nan), events


_COVERAGE = Plan(
    "label coverage",
    "true",
    {},
    (
        Component("events", "count", "true"),
        Component("labelled", "count", "r.label IS NOT NULL"),
    ),
    of_amounts=_share,
)


def _group(rule: Rule, names: ModelNames) -> str:
    """Resolve the property that a rule groups by."""
    told = {
        "select": [{"function": "count"}],
        "group_by": [{"property": rule.settings.group_by}],
    }
    column = parse(told, names, f"alert rule {rule.name}").group_by[0]
    if not isinstance(column, Column):
        msg = "group_by must be a property"
        raise TypeError(msg)
    if is_truth(column):
        msg = (
            "group_by must be a property that predictions have themselves, as no prediction changes"
            f" its group, got {column.name}"
        )
        raise QueryError(msg)
    return column.name
