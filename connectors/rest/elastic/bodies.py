"""Jobs as clients write them, and as the configuration has them.

The configuration's reader knows the same keys (`flows.anomalysettings`) and says what is wrong with
their values; here stands only what differs. A job watches what is posted to it, as the predictions
of a model of its own. `custom_settings: {bellwether: {model: …}}` makes it watch the stream of
another model, or, with `type`, events that are no predictions; `filter`, `time_basis`, `frequency`
and `normalizer` may stand there, too. `model_plot_config: {enabled: …}` and `allow_lazy_open:
false` are accepted and change nothing: what can be drawn is kept anyway, and a job opens at once.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from connectors.rest.elastic.answers import unparsed
from connectors.rest.elastic.own_names import inner_name, renamed
from connectors.rest.faults import Fault
from engine.commands.anomaly_jobs import is_posted

__all__ = ["OURS", "definition_of", "revised"]

OURS = "bellwether"
"""The entry of `custom_settings` that is read, not only kept."""

_CHOICES = ("model", "type", "filter", "time_basis", "frequency", "normalizer")
_KEPT = (
    *("description", "groups", "background_persist_interval", "renormalization_window_days"),
    *("results_retention_days", "model_snapshot_retention_days"),
    "daily_model_snapshot_retention_after_days",
)
_REFUSED = {
    "datafeed_config": "events come from `sources`, and from POST …/_data",
    "results_index_name": "results are in the relations of the data folder",
}
_OF_JOB = (
    *("job_id", "analysis_config", "analysis_limits", "data_description", "custom_settings"),
    *("allow_lazy_open", "model_plot_config", *_KEPT),
)
_OF_UPDATE = (
    *("analysis_limits", "custom_settings", "detectors", "allow_lazy_open", "model_plot_config"),
    *_KEPT,
)
_OF_DETECTOR = ("detector_index", "description", "custom_rules")

Definition = dict[str, Any]


def definition_of(job_id: str, body: Mapping[str, Any]) -> Definition:
    """Give the entry of the configuration that a body of PUT means.

    Raises
    ------
    Fault
        400: an unknown key, or one that cannot be.
    """
    told = _checked(body, _OF_JOB)
    if told.pop("job_id", job_id) != job_id:
        _refuse("`job_id` must be that of the path, or left out")
    if "analysis_config" not in told:
        msg = "`analysis_config` must be given"
        raise unparsed(msg)
    _drop_idle(told)
    noted = _object(told.get("custom_settings", {}), "custom_settings")
    ours = _object(noted.get(OURS, {}), f"custom_settings.{OURS}")
    _check_known(ours, _CHOICES, f"custom_settings.{OURS}")
    definition = {"job_id": job_id, **told, **ours}
    _put_noted(definition, noted)
    posted = not {"model", "type"} & set(ours)
    definition["analysis_config"] = _analysis(told["analysis_config"], posted=posted)
    return definition


def revised(definition: Mapping[str, Any], body: Mapping[str, Any]) -> Definition:
    """Give an entry of the configuration as `_update` changes it; null and "" take away.

    Raises
    ------
    Fault
        400: an unknown key, or one that cannot be changed.
    """
    told = _checked(body, _OF_UPDATE)
    _drop_idle(told)
    found = dict(definition)
    if "custom_settings" in told:
        noted = _object(told.pop("custom_settings"), "custom_settings")
        ours = _object(noted.get(OURS, {}), f"custom_settings.{OURS}")
        before = {name: found[name] for name in _CHOICES if name in found}
        if not ours.items() <= before.items():
            _refuse(f"`custom_settings.{OURS}` must be as it was: another job is another id")
        _put_noted(found, noted)
    if "detectors" in told:
        _revise_detectors(found, told.pop("detectors"))
    if "analysis_limits" in told:
        found.pop("model_memory_limit", None)
    for name in _KEPT:
        if name in body and name not in told:
            found.pop(name, None)
    return found | told


def _checked(body: Mapping[str, Any], names: tuple[str, ...]) -> Definition:
    for name, reason in _REFUSED.items():
        if body.get(name) is not None:
            _refuse(f"`{name}` is not supported: {reason}")
    told = {name: value for name, value in body.items() if value is not None and value != ""}
    _check_known({name: value for name, value in body.items() if name not in _REFUSED}, names, "")
    return told


def _check_known(told: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in told:
        if name not in names:
            place = f" in `{where}`" if where else ""
            msg = f"unknown field [{name[:80]}]{place}: the fields are {', '.join(names)}"
            raise unparsed(msg)


def _drop_idle(told: Definition) -> None:
    """Drop what changes nothing here, and refuse it where it is to change something."""
    if told.pop("allow_lazy_open", False) is not False:
        _refuse("`allow_lazy_open` must be false: a job opens at once")
    plot = _object(told.pop("model_plot_config", {}), "model_plot_config")
    _check_known(plot, ("enabled",), "model_plot_config")
    if not isinstance(plot.get("enabled", False), bool):
        _refuse("`model_plot_config.enabled` must be true or false")


def _put_noted(definition: Definition, noted: Mapping[str, Any]) -> None:
    definition.pop("custom_settings", None)
    kept = {name: value for name, value in noted.items() if name != OURS}
    if kept:
        definition["custom_settings"] = kept


def _analysis(told: Any, *, posted: bool) -> Definition:
    config = dict(_object(told, "analysis_config"))
    if isinstance(config.get("detectors"), list):
        config["detectors"] = [
            _detector(place, each, posted=posted) for place, each in enumerate(config["detectors"])
        ]
    names = config.get("influencers")
    if posted and isinstance(names, list):
        config["influencers"] = [
            inner_name(each) if isinstance(each, str) else each for each in names
        ]
    return {name: value for name, value in config.items() if value is not None}


def _detector(place: int, told: Any, *, posted: bool) -> Definition:
    detector = dict(_object(told, f"analysis_config.detectors[{place}]"))
    if detector.pop("detector_index", place) != place:
        _refuse(f"`detector_index` must be its place in the list, {place}")
    return renamed(detector, inner_name) if posted else detector


def _revise_detectors(definition: Definition, told: Any) -> None:
    """Change descriptions and rules of detectors, wherever the entry has them."""
    place: Definition = definition
    if "detectors" not in definition:
        place = definition["analysis_config"] = dict(definition["analysis_config"])
    detectors = place["detectors"] = [dict(each) for each in place["detectors"]]
    posted = is_posted(definition["job_id"], definition.get("model"))
    for each in told if isinstance(told, list) else [told]:
        change = _object(each, "detectors")
        _check_known(change, _OF_DETECTOR, "detectors")
        index = change.get("detector_index")
        if type(index) is not int or not 0 <= index < len(detectors):
            _refuse(f"`detector_index` must be from 0 to {len(detectors) - 1}")
        if "description" in change:
            detectors[index]["detector_description"] = change["description"]
        if "custom_rules" in change:
            rules = {"custom_rules": change["custom_rules"]}
            detectors[index] |= renamed(rules, inner_name) if posted else rules


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        msg = f"`{place}` must be an object"
        raise unparsed(msg)
    return value


def _refuse(message: str) -> NoReturn:
    raise Fault(400, message)
