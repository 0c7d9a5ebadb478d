"""Alert rules on metrics of models: made, changed and removed while the run goes on."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from engine.changes import Edit, Writing
from engine.commands.given import known, text_of
from engine.commands.metrics import metric_named
from engine.config import RuleSettings
from engine.errors import ConflictError, NotFoundError, QueryError
from engine.listed.rules import minutes, rule_asked
from engine.rule_names import rule_name
from engine.rules.definition import rule_id_of

__all__ = ["create_rule", "delete_rule", "update_rule"]

_SECOND_US = 1_000_000
_NEEDED = ("metric_id", "bound", "threshold", "severity")
_PATCHED = (
    *("name", "bound", "threshold", "severity", "lookback_period"),
    *("subsequent_alert_wait_time", "enabled"),
)
_OURS = (
    *("time_basis", "on_no_data", "resolve_threshold", "for", "min_sample_count"),
    *("min_label_coverage", "group_by", "group_limit"),
)
_EMPTY = ("metric_parameters", "filters")
_SHOWN = ("id", "metric_id", "metric_name")


def create_rule(
    writing: Writing, model_id: str, body: Mapping[str, Any], fresh: Callable[[], UUID]
) -> str:
    """Make a rule; gives its id.

    Parameters
    ----------
    body : mapping
        As Arthur has it (AR-04 to AR-10, AR-17), and any key of a rule in the configuration.
    fresh : callable
        Gives a new random id, for a rule whose name its model has already.

    Raises
    ------
    QueryError
        A field breaks a rule.
    NotFoundError
        The model has no such metric.
    """
    given = known(body, (*_NEEDED, *_PATCHED, *_OURS, *_EMPTY), _NEEDED)
    _check_empty(given)
    metric = metric_named(writing, model_id, text_of(given, "metric_id"))
    name = _name(writing, model_id, metric, given)
    rule_id = str(rule_id_of(RuleSettings(model_id, metric, "", None, ""), name))
    if _is_taken(writing, model_id, name, rule_id):
        rule_id = str(fresh())
    definition = {
        "model": model_id,
        "metric": metric,
        "name": name,
        **{key: given[key] for key in (*_PATCHED, *_OURS) if key in given and key != "name"},
        "rule_id": rule_id,
    }
    writing.edit(Edit("alert_rule", rule_id, definition))
    return rule_id


def update_rule(
    writing: Writing,
    model_id: str,
    rule_id: str,
    body: Mapping[str, Any],
    shown_threshold: float | None = None,
) -> None:
    """Change some fields of a rule; all others stay as they are at that moment.

    A default rule of drift becomes one that is declared, under its own id. What only repeats what
    the rule shows (a client sends all it was given) changes nothing: a dynamic threshold stays one.

    Parameters
    ----------
    body : mapping
        As Arthur has it (AR-15), and any key of a rule in the configuration.
    shown_threshold : float, optional
        What is shown in place of a dynamic threshold.

    Raises
    ------
    NotFoundError
        The model has no such rule.
    QueryError
        A field breaks a rule, or cannot be changed.
    """
    shown = rule_asked(writing.cursor, model_id, rule_id)
    definition = writing.configured.definition("alert_rule", rule_id)
    if definition is None and shown is not None and shown["is_default"]:
        definition = _of_default(shown)
    if definition is None or definition.get("model") != model_id:
        raise _unknown(rule_id)
    given = known(body, (*_PATCHED, *_OURS, *_EMPTY, *_SHOWN))
    _check_shown(given, rule_id, shown)
    if shown is not None and shown["dynamic_threshold"] is None:
        shown["dynamic_threshold"] = shown_threshold
    changed = {
        key: value
        for key, value in given.items()
        if key in (*_PATCHED, *_OURS) and not _repeats(key, value, definition, shown)
    }
    if not changed:
        return
    if "name" in changed:
        changed["name"] = text_of(changed, "name")
        changed["rule_id"] = rule_id  # else the id would follow the name
    writing.edit(Edit("alert_rule", rule_id, {**definition, **changed}))


def delete_rule(writing: Writing, model_id: str, rule_id: str) -> None:
    """Take a rule away; its alerts stay.

    Raises
    ------
    NotFoundError
        The model has no such rule.
    ConflictError
        It is a default one, which can only be disabled.
    """
    definition = writing.configured.definition("alert_rule", rule_id)
    if definition is not None and definition.get("model") == model_id:
        writing.edit(Edit("alert_rule", rule_id, None))
        return
    if rule_asked(writing.cursor, model_id, rule_id) is None:
        raise _unknown(rule_id)
    msg = "a default rule must be disabled, it cannot be removed"
    raise ConflictError(msg)


# ---- names -----------------------------------------------------------------------------------


def _name(writing: Writing, model_id: str, metric: str, given: Mapping[str, Any]) -> str:
    if "name" in given:
        return text_of(given, "name")
    bound = given["bound"] if given["bound"] in ("upper", "lower") else ""
    rows = writing.cursor.execute(
        "SELECT name FROM rules_log WHERE in_force AND model_id = $model", {"model": model_id}
    ).fetchall()
    rules = writing.configured.settings.alert_rules
    taken = {name for (name,) in rows} | {r.name for r in rules if r.model == model_id and r.name}
    return rule_name(metric, bound, taken)


def _is_taken(writing: Writing, model_id: str, name: str, rule_id: str) -> bool:
    if writing.configured.definition("alert_rule", rule_id) is not None:
        return True
    rules = writing.configured.settings.alert_rules
    if any(rule.model == model_id and rule.name == name for rule in rules):
        return True
    return rule_asked(writing.cursor, model_id, rule_id) is not None


# ---- changes ---------------------------------------------------------------------------------


def _of_default(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Write a default rule of drift as the configuration would; its lookback is the model's."""
    return {
        "model": shown["model_id"],
        "metric": shown["metric_name"],
        "name": shown["name"],
        "bound": shown["bound"],
        "threshold": "dynamic" if shown["threshold"] is None else shown["threshold"],
        "severity": shown["severity"],
        "subsequent_alert_wait_time": minutes(shown["wait_us"] / _SECOND_US),
        "enabled": shown["enabled"],
        "rule_id": shown["rule_id"],
    }


def _check_shown(given: Mapping[str, Any], rule_id: str, shown: Mapping[str, Any] | None) -> None:
    """See that what cannot be changed is not to be."""
    _check_empty(given)
    for key, value in (
        ("id", rule_id),
        *((key, shown[key]) for key in ("metric_id", "metric_name") if shown is not None),
    ):
        if key in given and given[key] != value:
            msg = f"`{key}` must stay {value}, got {str(given[key])[:100]}"
            raise QueryError(msg)


def _repeats(
    key: str, value: object, definition: Mapping[str, Any], shown: Mapping[str, Any] | None
) -> bool:
    """Tell whether a field only says what the rule shows, though it declares nothing of it."""
    if shown is None or isinstance(value, bool):
        return False
    if key == "threshold":
        return definition.get(key) == "dynamic" and value == shown["dynamic_threshold"]
    if key in definition:
        return False
    seconds = {
        "lookback_period": shown["lookback_s"],
        "subsequent_alert_wait_time": shown["wait_us"] / _SECOND_US,
    }
    return key in seconds and value == minutes(seconds[key])


def _check_empty(given: Mapping[str, Any]) -> None:
    for key in _EMPTY:
        if given.get(key):
            msg = f"`{key}` must be absent or empty: filters stand in the metric itself"
            raise QueryError(msg)


def _unknown(rule_id: str) -> NotFoundError:
    msg = f"`alert_rule_id` must be the id of a rule of the model, got {rule_id}"
    return NotFoundError(msg)
