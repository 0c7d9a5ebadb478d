"""Where the attributes of a model belong in its events, and what they say about its outcome.

An attribute of an inference goes

- by its qualified name (`features.x`, `predictions.x`) there;
- as `prediction`, `score`, `job_id` or `bucket_id` to the event's field of that name, unless the
  model has a feature that is called so;
- to where the model has had it before: features first, then predictions, then further fields;
- to the predictions if it is called as a class of the model, or as its `positive_property`, or
  begins with `predicted_` or `prediction_`;
- to the features.

An attribute of the ground truth is `label`, or else a named truth.

Without a `prediction` the outcome is drawn from the predictions: of attributes that are called as
classes the greatest is predicted, and is the score; where only the probability of one of two
classes is known, the model's threshold decides; any other lone prediction is the outcome itself.
Without a `label` that is the class whose attribute is 1 (one-hot), or the lone ground truth itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import QueryError
from engine.query.names import ModelNames
from engine.schema import CONTAINERS

__all__ = ["Stages", "outcome", "split_inference", "split_truth", "stages_of", "truth_outcome"]

Values = Mapping[str, object]

_FIELDS = ("prediction", "score", "job_id", "bucket_id")
_PREFIXES = ("predicted_", "prediction_")
_QUALIFIED = tuple(f"{container}." for container in CONTAINERS)


@dataclass(frozen=True, slots=True)
class Stages:
    """What is known of a model's attributes.

    Attributes
    ----------
    features, predictions, truths, further : frozenset of str
        Names that its events have had, by where.
    positive : str or None
        The positive class, where there is one.
    positive_property : str or None
        Bare name of the attribute that is its probability.
    """

    model_id: str
    features: frozenset[str] = frozenset()
    predictions: frozenset[str] = frozenset()
    truths: frozenset[str] = frozenset()
    further: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()
    positive: str | None = None
    positive_property: str | None = None
    threshold: float = 0.5


def stages_of(names: ModelNames) -> Stages:
    """Give the stages of a model, of what a query may name of it."""

    def within(container: str) -> frozenset[str]:
        start = f"{container}."
        return frozenset(n.removeprefix(start) for n in names.properties if n.startswith(start))

    two = names.classes if len(set(names.classes)) == 2 else ()
    declared = names.positive_property
    return Stages(
        names.model_id,
        within("features"),
        within("predictions"),
        within("labels"),
        frozenset(n for n in names.properties if not n.startswith(_QUALIFIED)),
        names.classes,
        names.positive or (max(two) if two else None),
        None if declared is None else declared.removeprefix("predictions."),
        names.threshold,
    )


def split_inference(stages: Stages, data: Values) -> dict[str, object]:
    """Give the fields of an event: the attributes of an inference where they belong.

    Raises
    ------
    QueryError
        An attribute belongs to the ground truth, or two have the same place.
    """
    inside: dict[str, dict[str, object]] = {"features": {}, "predictions": {}}
    event: dict[str, object] = {}
    for name, value in data.items():
        container, bare = _place(stages, name)
        into = inside[container] if container else event
        if bare in into:
            msg = f"`inference_data.{name}` must be given once, got it as {container}.{bare}, too"
            raise QueryError(msg)
        into[bare] = value
    event |= {container: members for container, members in inside.items() if members}
    return event | outcome(stages, event, inside["predictions"], inside["features"])


def _place(stages: Stages, name: str) -> tuple[str, str]:
    if name in stages.features:
        return "features", name
    container, dot, bare = name.partition(".")
    if name == "label" or (dot and container == "labels"):
        msg = f"`inference_data.{name}` must stand in `ground_truth_data`: it is a ground truth"
        raise QueryError(msg)
    if dot and container in ("features", "predictions"):
        return container, bare
    if name in _FIELDS:
        return "", name
    if name in stages.predictions:
        return "predictions", name
    if name in stages.further:
        return "", name
    called = name in stages.classes or name == stages.positive_property
    return ("predictions" if called or name.startswith(_PREFIXES) else "features"), name


def outcome(
    stages: Stages, event: Values, predictions: Values, features: Values
) -> dict[str, object]:
    """Give `prediction` and `score` as far as an event has them not, and they can be told."""
    if event.get("prediction") is not None:
        return {}
    given = {name: number for name in stages.classes
             if (number := _number(predictions.get(name))) is not None}  # fmt: skip
    both = len(set(stages.classes)) == 2
    positive = None if not both else _positive(stages, given, {**features, **predictions})
    if positive is not None and stages.positive is not None:
        return _of_two(stages, positive, event)
    if len(given) > 1:
        name = max(given, key=lambda each: given[each])
        return {"prediction": name, **_score(given[name], event)}
    lone = next(iter(predictions.items())) if len(predictions) == 1 else (None, None)
    if lone[1] is None or lone[0] == stages.positive_property:
        return {}
    return {"prediction": lone[1]}


def _positive(stages: Stages, given: Mapping[str, float], values: Values) -> float | None:
    """Give the probability of the positive one of two classes."""
    if stages.positive is not None and stages.positive in given:
        return given[stages.positive]
    if given:
        return 1.0 - next(iter(given.values()))
    if stages.positive_property is None:
        return None
    return _number(values.get(stages.positive_property.removeprefix("features.")))


def _of_two(stages: Stages, positive: float, event: Values) -> dict[str, object]:
    negative = next((name for name in stages.classes if name != stages.positive), None)
    said = positive >= stages.threshold
    predicted = stages.positive if said else negative
    return {"prediction": predicted, **_score(positive if said else 1.0 - positive, event)}


def _score(value: float, event: Values) -> dict[str, object]:
    return {"score": value} if 0.0 <= value <= 1.0 and event.get("score") is None else {}


def _number(value: object) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


# ---- ground truth ------------------------------------------------------------------------------


def split_truth(stages: Stages, data: Values) -> dict[str, object]:
    """Give `label` and `labels` of a ground truth; without a value there are none of them.

    Raises
    ------
    QueryError
        An attribute is given twice, or belongs to the inference.
    """
    named: dict[str, object] = {}
    for written, value in data.items():
        name = written.removeprefix("labels.")
        if written.startswith(("features.", "predictions.")):
            msg = f"`ground_truth_data.{written}` must stand in `inference_data`"
            raise QueryError(msg)
        if name in named:
            msg = f"`ground_truth_data.{written}` must be given once, got {name}, too"
            raise QueryError(msg)
        if value is not None:
            named[name] = value
    label = named.pop("label", None)
    if label is None:
        label = truth_outcome(stages, named)
    return {
        **({} if label is None else {"label": label}),
        **({"labels": named} if named else {}),
    }


def truth_outcome(stages: Stages, named: Values) -> object:
    """Give the label that named truths tell, None if they tell none."""
    hot = [name for name in stages.classes if name in named]
    if len(hot) > 1 and all(_number(named[name]) in (0.0, 1.0) for name in hot):
        ones = [name for name in hot if _number(named[name]) == 1.0]
        return ones[0] if len(ones) == 1 else None
    return next(iter(named.values())) if len(named) == 1 else None
