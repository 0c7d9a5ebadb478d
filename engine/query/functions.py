"""The catalogue of functions: what each is, what it takes and what it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engine.metrics import CATALOGUE

__all__ = [
    "COMPARATORS",
    "DRIFT_MEASURES",
    "FUNCTIONS",
    "INTERVALS",
    "REFUSED",
    "Function",
    "Parameter",
    "canonical",
]

COMPARATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "like", "NotNull")
"""AR-62 and ARi-10."""

DRIFT_MEASURES = ("PSI", "KLDivergence", "JSDivergence", "HellingerDistance", "HypothesisTest")
"""AR-F24 to AR-F28: what a drift query gives for a property."""

INTERVALS = ("second", "minute", "hour", "day", "month", "year")
"""What `roundTimestamp` rounds down to: ARi-13."""

REFUSED: Mapping[str, str] = {
    "NLPDataDrift": "text models are not supported, and no algorithm is given for it",
    "arraySlice": "properties are scalars here: array properties are not kept",
}
"""Functions of the contract that do not exist here, and why."""

_PERFORMANCE = "model_performance_metric"
_OUTPUT = "model_output_metric"
_INPUT = "model_input_data_metric"


ParameterKind = Literal[
    "property",
    "truth",
    "predicted",
    "properties",
    "comparator",
    "value",
    "class",
    "number",
    "whole",
    "choice",
]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function.

    Attributes
    ----------
    kind : str
        ``property``: a column or a row function. ``truth``: the same of labels, whose bare names
        are looked up in the labels first. ``predicted``: the same of anything but labels.
        ``properties``: a list of property names. ``comparator`` and ``value``: a condition on the
        parameter ``property``. ``class``: the text of a class. ``number``, ``whole``, ``choice``.
    default : str, float, int or None
        None: left out of `Call.parameters` when it is not given. Of a property: its name.
    choices : tuple of str
        Of the kinds choice and comparator.
    accepts : tuple of str
        Of a property: the types it may have.
    low, high : float or None
        Bounds of a number, which itself may be one of them unless `strict`.
    """

    name: str
    kind: ParameterKind
    required: bool = False
    default: str | float | int | None = None
    choices: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ("number", "text", "mixed", "time")
    low: float | None = None
    high: float | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    Attributes
    ----------
    kind : str
        ``aggregate``: one value a group. ``several``: several values a group. ``row``: one value
        a row.
    type : str
        One of `engine.metrics.METRIC_TYPES`; of a function of a property and of row functions the
        property decides in the end (`engine.query.check.metric_type`).
    result : str
        Type of the value: number, text, time or several.
    needs_truth : bool
        Whether it compares with labels, given or the model's own.
    together : tuple of str
        Parameters of which either all or none are given, in ascending order.
    """

    name: str
    kind: Literal["aggregate", "several", "row"]
    type: str = _INPUT
    parameters: tuple[Parameter, ...] = ()
    needs_truth: bool = False
    result: Literal["number", "text", "time", "several"] = "number"
    together: tuple[str, ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, None if there is none."""
        return next((each for each in self.parameters if each.name == name), None)


_NUMBERS = ("number", "mixed")
_SCALARS = ("number", "text", "mixed")
_NUMBER = Parameter("property", "property", required=True, accepts=_NUMBERS)
_TRUTH = Parameter("ground_truth_property", "truth", accepts=_SCALARS)
_PROBABILITY = Parameter("predicted_property", "predicted", accepts=_NUMBERS)
_CUT = Parameter("threshold", "number", low=0, high=1)
_PREDICTED = Parameter("predicted_property", "predicted", accepts=_SCALARS)
_BINARY = (_TRUTH, _PREDICTED, _CUT)
_ERRORS = (
    Parameter("ground_truth_property", "truth", default="label", accepts=_NUMBERS),
    Parameter("predicted_property", "predicted", default="prediction", accepts=_NUMBERS),
)
_MAE = (
    Parameter("aggregation", "choice", default="avg", choices=("avg", "min", "max")),
    Parameter("normalizationMin", "number"),
    Parameter("normalizationMax", "number"),
)
_OF_ONE_NUMBER = ("avg", "avgAbs", "sum", "min", "max", "variance", "stddev", "median")

_OF_PROPERTIES = (
    *(Function(name, "aggregate", parameters=(_NUMBER,)) for name in _OF_ONE_NUMBER),
    Function(
        "quantile",
        "aggregate",
        parameters=(_NUMBER, Parameter("q", "number", required=True, low=0, high=1)),
    ),
    Function(
        "rate",
        "aggregate",
        parameters=(
            Parameter("property", "property", required=True),
            Parameter("comparator", "comparator", required=True, choices=COMPARATORS),
            Parameter("value", "value"),
        ),
    ),
    Function(
        "adwin",
        "aggregate",
        parameters=(
            _NUMBER,
            Parameter("delta", "number", default=0.002, low=0, high=1, strict=True),
        ),
    ),
    Function(
        "pageHinkley",
        "aggregate",
        parameters=(
            _NUMBER,
            Parameter("delta", "number", default=0.005, low=0),
            Parameter("threshold", "number", default=50, low=0, strict=True),
            Parameter("min_instances", "whole", default=30, low=1, high=1_000_000),
        ),
    ),
    Function(
        "distribution",
        "several",
        parameters=(
            Parameter("property", "property", required=True, accepts=_SCALARS),
            Parameter("num_bins", "whole", default=10, low=2, high=100),
        ),
        result="several",
    ),
)

_ROW = (
    Function("abs", "row", parameters=(_NUMBER,)),
    Function(
        "roundTimestamp",
        "row",
        parameters=(
            Parameter("property", "property", required=True, accepts=("time",)),
            Parameter("time_interval", "choice", required=True, choices=INTERVALS),
        ),
        result="time",
    ),
    Function(
        "labelByMaxColumn",
        "row",
        _OUTPUT,
        (Parameter("properties", "properties", required=True, accepts=_NUMBERS),),
        result="text",
    ),
)

_MATRICES = tuple(
    Function(name, "several", _PERFORMANCE, _BINARY, needs_truth=True, result="several")
    for name in ("confusionMatrix", "confusionMatrixRate")
)


def _parameters_of(name: str, family: str, *, per_class: bool) -> tuple[Parameter, ...]:
    if family == "binary":
        return _BINARY
    if family == "errors":
        return (*_ERRORS, *_MAE) if name == "mae" else _ERRORS
    if family == "auc":
        return (_TRUTH, _PROBABILITY)
    return (Parameter("class", "class"),) if per_class else ()


_DEFAULTS = tuple(
    Function(
        each.name,
        "aggregate",
        each.type,
        _parameters_of(each.name, each.family, per_class=each.per_class),
        needs_truth=each.family != "count",
        together=("normalizationMin", "normalizationMax") if each.name == "mae" else (),
    )
    for each in CATALOGUE
)

FUNCTIONS: Mapping[str, Function] = {
    each.name: each for each in (*_DEFAULTS, *_OF_PROPERTIES, *_MATRICES, *_ROW)
}
"""Every function by its name."""


def canonical(name: str) -> str | None:
    """Return the name that the catalogue has for a function, None if it has none.

    The document misspells one name (ARx-2).

    >>> canonical("falsePostiveRate"), canonical("avg"), canonical("AVG")
    ('falsePositiveRate', 'avg', None)
    """
    if name == "falsePostiveRate":
        return "falsePositiveRate"
    return name if name in FUNCTIONS else None
