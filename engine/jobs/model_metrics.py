"""The metrics of a job's active model: its own decisions of all time, and its knowledge base.

Neither range nor filters have to do with them. The decisions come from counts by hour; gathering
the knowledge base reads stored events, so an owner does it beside the stream and keeps the last
answer, as JSON, in `model_metrics_log`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa

from engine.errors import NotFoundError
from engine.jobs.blocks import Block, of_matrix
from engine.jobs.decided import Decided, decided_of
from engine.jobs.deployments import job_models
from engine.jobs.hour_tally import tally_hours
from engine.jobs.job_metrics import UNKNOWN_JOB
from engine.jobs.job_rules import JobRules, Minutes
from engine.jobs.knowledge import CHANGED, Knowledge, knowledge_of
from engine.jobs.questions import JobQuestion
from engine.jobs.tally import Tally

__all__ = ["ModelMetrics", "model_metrics"]


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """The metrics of a model as of one moment.

    Attributes
    ----------
    job_id, model_id : str
    computed_us : int
        When they were computed, µs of the wall clock.
    decided : Decided
        Over the model's own decisions in the job.
    knowledge : Knowledge
    """

    job_id: str
    model_id: str
    computed_us: int
    decided: Decided
    knowledge: Knowledge

    def to_json(self) -> str:
        """Give them as JSON, for `from_json`."""
        own, base = self.decided, self.knowledge
        told = {
            "job_id": self.job_id,
            "model_id": self.model_id,
            "computed_us": self.computed_us,
            "labels": own.all.labels,
            "matrices": [own.all.confusion_matrix, own.labelled.confusion_matrix],
            "saved": [own.all.time_saved_minutes, own.labelled.time_saved_minutes],
            "events_without_decision": own.events_without_decision,
            "label_sources": own.events_by_label_source,
            "minutes": {model: asdict(each) for model, each in own.minutes_per_event.items()},
            "deployed_us": base.deployed_us,
            "events": base.events,
            "buckets": base.buckets,
            "changed": base.changed.to_pydict(),
            "changed_total": base.changed_total,
        }
        return orjson.dumps(told).decode()

    @classmethod
    def from_json(cls, text: str) -> "ModelMetrics":
        """Read what `to_json` gave."""
        told = orjson.loads(text)
        changed = pa.table(told["changed"], schema=CHANGED)
        base = Knowledge(
            told["model_id"],
            told["deployed_us"],
            told["events"],
            told["buckets"],
            changed,
            told["changed_total"],
        )
        own = _decided(told)
        return cls(told["job_id"], told["model_id"], told["computed_us"], own, base)


def _decided(told: Mapping[str, Any]) -> Decided:
    everything, labelled = (_block(told, index) for index in range(2))
    return Decided(
        everything,
        labelled,
        everything.total,
        labelled.total,
        told["events_without_decision"],
        told["label_sources"],
        {model: Minutes(**each) for model, each in told["minutes"].items()},
    )


def _block(told: Mapping[str, Any], index: int) -> Block:
    labels = tuple(told["labels"])
    matrix = np.array(told["matrices"][index], np.int64).reshape(len(labels), len(labels))
    return of_matrix(labels, matrix, told["saved"][index])


def model_metrics(
    cursor: duckdb.DuckDBPyConnection, job_id: str, rules: JobRules, computed_us: int
) -> ModelMetrics:
    """Compute the metrics of a job's active model.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Only read from; in one transaction, so that all of it is of one state of the store.
    job_id : str
    rules : JobRules
    computed_us : int
        Now, µs.

    Raises
    ------
    NotFoundError
        There is no such job, or no model of it is deployed now.
    """
    known = job_models(cursor, job_id)
    active = known.active
    if active is None:
        raise NotFoundError(UNKNOWN_JOB)
    model_id = active.model_id
    cells = tally_hours(cursor, JobQuestion(job_id, job_id), known).cells
    own = Tally(Counter({cell: count for cell, count in cells.items() if cell[0] == model_id}))
    return ModelMetrics(
        job_id,
        model_id,
        computed_us,
        decided_of(cursor, own, (model_id,), model_id, rules),
        knowledge_of(cursor, job_id, active, rules),
    )
