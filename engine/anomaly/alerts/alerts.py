"""Alert rules on anomaly scores: from results of buckets to evaluations and alerts in the store.

They stand in the same relations as the rules on metrics, and are told of in the same way. What a
rule sees in a bucket is the scores that the bucket had when it closed: later renormalisation gives
no alert and takes none back. A rule begins with the first bucket that closes after it was declared.
Source: contracts.md ELi-21.
"""

import operator
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from engine.anomaly.alerts.score_log import Named, Seen, alert_row, write
from engine.anomaly.alerts.score_looks import ScoredBucket, look_at
from engine.anomaly.alerts.score_rules import ScoreRule, score_rules_of
from engine.anomaly.alerts.score_stood import declare, stood_of
from engine.anomaly.alerts.score_watch import Evaluation, ScoreWatch, Stood
from engine.config import Settings
from engine.rules.alerting import Lines

__all__ = ["ScoreRules", "ScoredBucket"]


@dataclass(frozen=True, slots=True)
class _Followed:
    key: Named
    rule: ScoreRule
    watch: ScoreWatch


class ScoreRules:
    """Follows the rules on scores of the settings on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever it is used. After a roll-back
        a new one is to be made.
    settings : Settings

    Raises
    ------
    ConfigurationError, QueryError
        See `engine.anomaly.alerts.score_rules`.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
        self._cursor = cursor
        self._rules = score_rules_of(settings)
        self._followed: dict[str, list[_Followed]] = {}

    def declare(self, watermark_us: int | None) -> None:
        """Write which rules are in force, and go on where they stood.

        To be called behind every `Watch.open`, which takes all rules but its own out of force.

        Parameters
        ----------
        watermark_us : int or None
            From when on a new version holds.
        """
        versions = declare(self._cursor, self._rules, watermark_us)
        keys = [
            (str(each.rule.rule_id), version)
            for each, version in zip(self._rules, versions, strict=True)
        ]
        stood = stood_of(self._cursor, keys)
        followed: defaultdict[str, list[_Followed]] = defaultdict(list)
        for key, each in zip(keys, self._rules, strict=True):
            told = each.settings
            if told.enabled:
                watch = ScoreWatch(each.span_s, told.buckets, told.wait_us, stood[key])
                followed[told.anomaly_job].append(_Followed(key, each, watch))
        self._followed = dict(followed)

    def looks(self, job_id: str) -> bool:
        """Say whether every interim result of a job counts: some rule looks at them."""
        followed = self._followed.get(job_id, ())
        return any(each.rule.settings.include_interim for each in followed)

    def follows(self, job_id: str) -> bool:
        """Say whether any rule is on the scores of a job."""
        return job_id in self._followed

    def evaluate(
        self, found: Sequence[ScoredBucket], lines: Lines | None, next_seq: int
    ) -> pa.Table:
        """Look at buckets, and store what came of it.

        Parameters
        ----------
        found : sequence of ScoredBucket
            Of each job in the order in which they closed or were looked at.
        lines : Lines or None
            The block whose lines moved the watermark; None: time alone did.
        next_seq : int
            The number of the next line.

        Returns
        -------
        pa.Table
            `alert_id` and `model_id` of the alerts, in order of time.
        """
        evaluations: dict[Seen, Evaluation | None] = {}
        alerts: list[dict[str, Any]] = []
        standing: dict[Named, Stood] = {}
        again: set[Seen] = set()
        for bucket in found:
            last_line = _last_line(bucket.closed_us, lines, next_seq)
            for each in self._followed.get(bucket.rows.job_id, ()):
                told = each.rule.settings
                if bucket.rows.is_interim and not told.include_interim:
                    continue
                look = look_at(told, bucket)
                stood, seen = each.watch.stood, (each.key, look.end_s)
                if look.end_s <= stood.done_s:
                    continue
                if look.end_s in stood.looks:
                    again.add(seen)
                evaluations[seen], alert = each.watch.see(look, bucket.closed_us)
                standing[each.key] = stood
                if alert is not None:
                    row = alert_row(self._cursor, each.rule, each.key[1], alert, last_line)
                    alerts.append(row)
        alerts.sort(key=operator.itemgetter("triggered_time", "window_end", "rule_id"))
        return write(self._cursor, evaluations, again, alerts, standing)


def _last_line(passed_us: int, lines: Lines | None, next_seq: int) -> int:
    """Give the number of the last line before the one that passed an instant."""
    if lines is None:
        return next_seq - 1
    return lines.first_seq + int(np.searchsorted(lines.arrival_us, passed_us, side="left")) - 1
