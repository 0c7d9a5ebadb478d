"""Drift rules: what each compares with what, and the default ones of every feature.

As soon as a model has a frozen reference set, every feature of it is binned, its drift is kept for
`drift_values`, and it gets a PSI alert whose threshold is computed from the reference set (AR-50,
AR-51). Bins, thresholds and definitions are stored, so that a restart computes nothing twice.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config import ModelSettings, RuleSettings, Settings
from engine.drift import MEASURES
from engine.drift_bins import Bins
from engine.metrics import metric_id
from engine.query.compile import filter_of
from engine.query.expressions import Scope, truths_among
from engine.query.tree import DriftQuery
from engine.rule_names import rule_name
from engine.rules.definition import Rule, names_of, rule_of, truths_needed
from engine.rules.drift_bins_of import (
    binning_of,
    bins_of,
    drift_of,
    finite,
    shown,
    threshold_of,
)
from engine.rules.drifting import Binned, BinTrack, Feed, TestTrack, feed_of
from engine.rules.panel import Panel, Versioned
from engine.rules.panels import Panels, coverage_of
from engine.rules.references import References
from engine.rules.tracks import Series

__all__ = ["Drifts"]

_TEST_BINS = 100


@dataclass(slots=True)
class Drifts:
    """Builds the panels of drift rules.

    Attributes
    ----------
    tracks : list
        All that were built, each once.
    fresh : set of str
        Binnings that were not stored before: their history is still to be counted.
    """

    cursor: duckdb.DuckDBPyConnection
    settings: Settings
    references: References
    panels: Panels
    feeds: dict[object, Feed] = field(default_factory=dict)
    tracks: dict[object, BinTrack | TestTrack] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    _recorded: set[str] = field(default_factory=set)
    _written: set[str] | None = None
    _values: dict[tuple[str, str, str], pa.Table] = field(default_factory=dict)
    _declared: set[tuple[str, str, int]] = field(default_factory=set)
    _bins: dict[tuple[str, int], Bins] = field(default_factory=dict)
    _new: dict[str, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {
            name: [] for name in ("binnings", "bin_definitions", "bin_edges", "drift_metrics")
        }
    )

    # ---- the default rules ------------------------------------------------------------------

    def default_rules(self, declared: Iterable[Rule]) -> list[Rule]:
        """Give the PSI rule of every feature that has a reference, if no declared one has its id.

        Rules that declare an id of their own take no name away: the ids of the default rules follow
        from their names, and must stay.
        """
        taken: dict[str, set[str]] = {}
        own: set[UUID] = set()
        for rule in declared:
            if rule.settings.rule_id is None:
                taken.setdefault(rule.model_id, set()).add(rule.name)
            else:
                own.add(rule.rule_id)
        models = {model.id: model for model in self.settings.models}
        found = []
        for model_id in self.references.versions:
            model = models.get(model_id, ModelSettings(id=model_id))
            names = taken.setdefault(model_id, set())
            for feature in self.references.features(model_id):
                found.append(self._default_rule(model, feature, names))
                names.add(found[-1].name)
        return [rule for rule in found if rule.rule_id not in own]

    def _default_rule(self, model: ModelSettings, feature: str, taken: set[str]) -> Rule:
        metric = f"PSI({feature})"
        lookback_s = model.drift_lookback_s or self.settings.time.drift_lookback_s
        told = RuleSettings(
            model.id,
            metric,
            "upper",
            None,
            "warning",
            wait_us=lookback_s * 1_000_000,
            enabled=model.drift_alerts,
        )
        name = rule_name(metric, "upper", taken)
        return rule_of(self.settings, {}, model, told, name, is_default=True)

    # ---- building ---------------------------------------------------------------------------

    def follow(self, each: Versioned, model: ModelSettings, model_no: int) -> None:
        """Let a drift rule be followed, or only its bins be kept where it is not enabled."""
        rule, tree = each.rule, each.rule.metric.tree
        if not isinstance(tree, DriftQuery) or rule.model_id not in self.references.versions:
            return
        names = names_of(model)
        column = tree.properties[0].name
        base = repr(tree.base.filter)
        kind = self._kind(rule.model_id, column)
        scope = Scope(names, self.panels.columns)
        where = filter_of(tree.target.filter, scope)
        columns = self.panels.columns
        sql = columns.number(column) if kind == "number" else columns.text(column)
        columns.note(sql)
        truths = tuple(sorted({*truths_needed(tree), *truths_among(scope.properties)}))
        feed_key = (where, tuple(scope.parameters.items()), truths, rule.time_basis, rule.step_s)
        if feed_key not in self.feeds:
            target = (where, dict(scope.parameters))
            self.feeds[feed_key] = feed_of(columns, truths, rule.time_basis, rule.step_s, target)
        feed = self.feeds[feed_key]
        feed.listed[sql] = sql
        if truths or rule.time_basis == "label":
            columns.last(sql)
        dynamic = rule.settings.threshold is None
        covered = rule.settings.min_label_coverage > 0
        key = (*feed_key, sql, base, tree.num_bins, tree.metric, rule.lookback_s, dynamic, covered)
        test = tree.metric == "HypothesisTest" and kind == "number"
        track = self._track(key, feed, sql, rule, test=test)
        frozen = self._frozen(each, model, kind, test=test)
        if not test:
            self._record(track, model_no, frozen.binning)
        track.frozen[model_no] = frozen
        if not rule.settings.enabled:
            self.panels.keep(key, lambda: self._panel(track, rule, covered=covered), model_no)
        else:
            self.panels.add(key, lambda: self._panel(track, rule, covered=covered), model_no, each)

    def frozen(self, each: Versioned, model: ModelSettings) -> Binned:
        """Give what a drift rule compares with; it is not followed over windows of time."""
        tree = drift_of(each.rule)
        kind = self._kind(model.id, tree.properties[0].name)
        test = tree.metric == "HypothesisTest" and kind == "number"
        found = self._frozen(each, model, kind, test=test)
        self.fresh.discard(found.binning)
        return found

    def _track(
        self, key: object, feed: Feed, sql: str, rule: Rule, *, test: bool
    ) -> BinTrack | TestTrack:
        if key not in self.tracks:
            series = Series(grouped=False, limit=0)
            windows = rule.lookback_s, rule.step_s
            tree = rule.metric.tree
            measure = tree.metric if isinstance(tree, DriftQuery) else ""
            self.tracks[key] = (
                TestTrack(feed, sql, series, windows)
                if test
                else BinTrack(feed, sql, series, windows, measure)
            )
        return self.tracks[key]

    def _panel(self, track: BinTrack | TestTrack, rule: Rule, *, covered: bool) -> Panel:
        coverage = (
            coverage_of(self.panels.columns, rule.lookback_s, rule.step_s) if covered else None
        )
        return Panel(track, coverage, None, self.panels.done_s)

    def _record(self, track: BinTrack | TestTrack, model_no: int, binning: str) -> None:
        if isinstance(track, BinTrack) and binning not in self._recorded:
            self._recorded.add(binning)
            track.recording.add(model_no)

    def load(self) -> None:
        """Read what is declared and frozen already."""
        self._bins = {
            (binning, version): Bins.of_json(bins)
            for binning, version, bins in self.cursor.execute(
                "SELECT binning, version, bins FROM bin_definitions QUALIFY version ="
                " max(version) OVER (PARTITION BY binning)"
            ).fetchall()
        }
        self._declared = set(
            self.cursor.execute(
                "SELECT metric_id, binning, lookback_s FROM drift_metrics"
            ).fetchall()
        )

    def begin(self) -> None:
        """Make all tracks ready for rows, once every rule was added."""
        self._flush()
        for track in self.tracks.values():
            if isinstance(track, BinTrack):
                track.begin()

    # ---- rows -------------------------------------------------------------------------------

    def record_only(self, binnings: set[str] | None) -> None:
        """Write what is binned from now on for these binnings alone; None: for all."""
        self._written = binnings

    def gather(self, present: set[int], block_seq: int) -> None:
        """Take in the rows of ``w_rows`` of the models present."""
        for feed in self.feeds.values():
            tracks = [track for track in self.tracks.values() if track.feed is feed]
            models = sorted({number for track in tracks for number in track.frozen} & present)
            if not models:
                continue
            rows = feed.read(self.cursor, ", ".join(map(str, models)))
            for track in tracks:
                track.take(rows)
        self._write(block_seq)

    def _write(self, block_seq: int) -> None:
        """Write the deltas of `bin_panes`."""
        tables = []
        for track in self.tracks.values():
            if isinstance(track, BinTrack):
                tables += track.recorded
                track.recorded = []
        if not tables:
            return
        rows = pa.concat_tables(tables)
        if self._written is not None:
            wanted = pa.array(sorted(self._written), pa.string())
            rows = rows.filter(pc.is_in(rows["binning"], value_set=wanted))
        self.cursor.register("b_binned", rows)
        self.cursor.execute(
            "INSERT INTO bin_panes SELECT binning, version, pane_s, bin, count, $seq FROM b_binned",
            {"seq": block_seq},
        )
        self.cursor.unregister("b_binned")

    # ---- what is frozen ---------------------------------------------------------------------

    def _kind(self, model_id: str, name: str) -> str:
        known = self.references.features(model_id).get(name)
        if known is not None:
            return known
        stored = self.cursor.execute(
            "SELECT d.bins FROM binnings b JOIN bin_definitions d USING (binning, version)"
            " WHERE b.model_id = ? AND b.property = ? AND b.version = ?",
            [model_id, name, self.references.versions[model_id].version],
        ).fetchall()
        if stored:
            return str(json.loads(stored[0][0])["kind"])
        return self.references.kind(model_id, name)

    def _frozen(self, each: Versioned, model: ModelSettings, kind: str, *, test: bool) -> Binned:
        """Give the bins of a rule's property, made from the reference set or as stored."""
        rule, tree = each.rule, drift_of(each.rule)
        version = self.references.versions[rule.model_id].version
        name, size = tree.properties[0].name, _TEST_BINS if test else tree.num_bins
        binning = binning_of(rule, size)

        def column() -> "pa.ChunkedArray[Any]":
            return self._column(model, tree, name, kind)

        bins = self._bins.get((binning, version))
        if bins is None:
            bins = self._bins[binning, version] = bins_of(shown(name), column(), kind, size)
            self._store(binning, version, bins, rule)
            if not test:
                self.fresh.add(binning)
        if not test:
            self._declare(rule, tree, binning)
        threshold = None
        if rule.settings.threshold is None:
            threshold = threshold_of(self.cursor, rule, version, bins, column)
        ordered = np.sort(column().drop_null().to_numpy()) if test else None
        return Binned(bins, binning, version, threshold, ordered)

    def _column(
        self, model: ModelSettings, tree: DriftQuery, name: str, kind: str
    ) -> "pa.ChunkedArray[Any]":
        """Read a property of the reference set; all features at once, since they are all needed."""
        key = (model.id, repr(tree.base.filter), "")
        if name.startswith("features.") and kind == self._features(model.id).get(name):
            wanted = self._features(model.id)
        else:
            key, wanted = (model.id, repr(tree.base.filter), name), {name: kind}
        if key not in self._values:
            names = names_of(model)
            self._values[key] = self.references.columns(names, wanted, tree.base.filter)
        return self._values[key][name]

    def _features(self, model_id: str) -> dict[str, str]:
        return self.references.features(model_id)

    def _store(self, binning: str, version: int, bins: Bins, rule: Rule) -> None:
        told = [binning, rule.model_id, bins.property, version, rule.time_basis, rule.step_s]
        self._new["binnings"].append(tuple(told))
        self._new["bin_definitions"].append((binning, version, bins.to_json()))
        counts = bins.reference.tolist()
        self._new["bin_edges"] += [
            (
                *(binning, version, row.bin, finite(row.lower), finite(row.upper)),
                *(row.category, count),
            )
            for row, count in zip(bins.rows(), counts, strict=True)
        ]

    def _flush(self) -> None:
        """Write the definitions made since the last time, all rows of a table at once."""
        for table, rows in self._new.items():
            if not rows:
                continue
            columns = [pa.array(list(column)) for column in zip(*rows, strict=True)]
            names = [f"c{place}" for place in range(len(columns))]
            self.cursor.register("b_defined", pa.table(columns, names))
            self.cursor.execute(f"INSERT INTO {table} SELECT * FROM b_defined")
            self.cursor.unregister("b_defined")
            rows.clear()

    def _declare(self, rule: Rule, tree: DriftQuery, binning: str) -> None:
        """Write which measures of a binning `drift_values` has."""
        own = [(str(rule.metric.metric_id), tree.metric)]
        if rule.is_default:
            own = [
                (str(metric_id(rule.model_id, f"{measure}({tree.properties[0].name})")), measure)
                for measure in MEASURES
            ]
        for identity, measure in own:
            if measure not in MEASURES:
                continue
            key = (identity, binning, rule.lookback_s)
            if key in self._declared:
                continue
            self._declared.add(key)
            name = shown(tree.properties[0].name)
            told = (identity, rule.model_id, name, measure, binning)
            self._new["drift_metrics"].append(
                (*told, rule.lookback_s, rule.step_s, rule.is_default)
            )
