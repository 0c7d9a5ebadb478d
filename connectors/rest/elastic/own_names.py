"""Fields of posted records that are called like something else here, and how they are told apart.

Fields of posted records are features. One that is called like a property of every prediction
(``score``), a metric (``precision``) or a container (``labels.x``) goes by `features.` and its name
within; whoever posted it sees the name that was given.
"""

from collections.abc import Callable, Mapping
from typing import Any

from engine.anomaly.definition import OF_PAIRS
from engine.commands.anomaly_jobs import is_posted
from engine.config import AnomalyJobSettings
from engine.errors import QueryError
from engine.query.parse_defaults import default_query
from engine.query.parse_names import REGULAR
from engine.schema import CONTAINERS

__all__ = ["FIELD_NAMES", "given_name", "has_own_names", "inner_name", "renamed", "shown"]

FIELD_NAMES = ("field_name", "by_field_name", "over_field_name", "partition_field_name")
"""Keys of a detector, and of a record, that name fields."""

_NAMED = (*FIELD_NAMES, "influencer_field_name")
_PARTS = ("buckets", "records", "influencers", "bucket_influencers", "causes")
_PREFIX = "features."


def inner_name(name: str) -> str:
    """Give the name that a posted field goes by here.

    >>> inner_name("responsetime"), inner_name("score"), inner_name("features.x")
    ('responsetime', 'features.score', 'features.features.x')
    """
    taken = name in REGULAR or name in OF_PAIRS or name in ("model_id", "*")
    if taken or name.startswith(tuple(f"{each}." for each in CONTAINERS)) or _is_metric(name):
        return _PREFIX + name
    return name


def given_name(name: str) -> str:
    """Give the name that a field of a posted record was posted under.

    >>> given_name("features.score"), given_name("responsetime")
    ('score', 'responsetime')
    """
    return name.removeprefix(_PREFIX)


def _is_metric(name: str) -> bool:
    try:
        default_query(name)
    except QueryError:
        return False
    return True


def has_own_names(job: AnomalyJobSettings) -> bool:
    """Tell whether a job of posted data has fields that go by other names here."""
    names = [*job.influencers]
    names += [getattr(each, name) or "" for each in job.detectors for name in FIELD_NAMES]
    return is_posted(job.job_id, job.model) and any(name.startswith(_PREFIX) for name in names)


def shown(found: Any) -> Any:
    """Give results with the names under which fields were posted."""
    if isinstance(found, list):
        return [shown(each) for each in found]
    if not isinstance(found, dict):
        return found
    told = {name: shown(part) if name in _PARTS else part for name, part in found.items()}
    return told | {name: given_name(told[name]) for name in _NAMED if name in told}


def renamed(detector: Mapping[str, Any], name_of: Callable[[str], str]) -> dict[str, Any]:
    """Give a detector, as JSON has it, with other names for its fields."""
    told = dict(detector)
    for key in FIELD_NAMES:
        if isinstance(told.get(key), str):
            told[key] = name_of(told[key])
    rules = told.get("custom_rules")
    if isinstance(rules, list):
        told["custom_rules"] = [_rule(rule, name_of) for rule in rules]
    return told


def _rule(rule: Any, name_of: Callable[[str], str]) -> Any:
    scope = rule.get("scope") if isinstance(rule, dict) else None
    if not isinstance(scope, dict):
        return rule
    return {**rule, "scope": {name_of(name): told for name, told in scope.items()}}
