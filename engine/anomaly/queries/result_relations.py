"""The relations of results as they are asked and answered: fields, scores, orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["BUCKETS", "BUCKET_INFLUENCERS", "INFLUENCERS", "RECORDS", "Relation"]


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of results, under ``r`` in its SQL.

    Attributes
    ----------
    name : str
    score : str
        The column that the least score is about.
    fields : Mapping
        Field of the answer to SQL, in the order in which they are told.
    sorts : Mapping
        Field that results may be sorted by to SQL.
    order : str
        SQL of the order of the results of one bucket.
    """

    name: str
    score: str
    fields: Mapping[str, str]
    sorts: Mapping[str, str]
    order: str


_COMPUTED = {
    "timestamp": "epoch_ms(r.timestamp)",
    "processing_time_ms": "floor(r.processing_time_ms)::BIGINT",
}
_OBJECTS = ("influencers", "causes", "explanation")
_SERIES = (
    *("by_field_name", "by_field_value", "over_field_name", "over_field_value"),
    *("partition_field_name", "partition_field_value"),
)


def _relation(name: str, score: str, fields: tuple[str, ...], order: tuple[str, ...]) -> Relation:
    return Relation(
        name,
        score,
        MappingProxyType({field: _COMPUTED.get(field, f"r.{field}") for field in fields}),
        MappingProxyType({field: f"r.{field}" for field in fields if field not in _OBJECTS}),
        ", ".join(order),
    )


BUCKETS: Final = _relation(
    "anomaly_buckets",
    "anomaly_score",
    (
        *("job_id", "timestamp", "anomaly_score", "bucket_span", "initial_anomaly_score"),
        *("event_count", "is_interim", "processing_time_ms", "result_type"),
    ),
    ("r.is_interim",),
)
BUCKET_INFLUENCERS: Final = _relation(
    "anomaly_bucket_influencers",
    "anomaly_score",
    (
        *("job_id", "result_type", "influencer_field_name", "influencer_field_value"),
        *("initial_anomaly_score", "anomaly_score", "raw_anomaly_score", "probability"),
        *("timestamp", "bucket_span", "is_interim"),
    ),
    # bucket_time, which has no value, comes first.
    ("r.influencer_field_value IS NOT NULL", "r.influencer_field_name", "r.influencer_field_value"),
)
RECORDS: Final = _relation(
    "anomaly_records",
    "record_score",
    (
        *("job_id", "result_type", "probability", "multi_bucket_impact", "record_score"),
        *("initial_record_score", "bucket_span", "detector_index", "is_interim", "timestamp"),
        *("function", "function_description", "field_name", *_SERIES),
        *("typical", "actual", *_OBJECTS),
    ),
    ("r.detector_index", "r.function_description", *(f"r.{name}" for name in _SERIES)),
)
INFLUENCERS: Final = _relation(
    "anomaly_influencers",
    "influencer_score",
    (
        *("job_id", "result_type", "influencer_field_name", "influencer_field_value"),
        *("influencer_score", "initial_influencer_score", "probability"),
        *("bucket_span", "is_interim", "timestamp"),
    ),
    ("r.influencer_field_name", "r.influencer_field_value"),
)
