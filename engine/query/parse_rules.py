"""Rules of parameters that need more than the parameter itself: classes, pairs and truths."""

from collections.abc import Mapping

from engine.query.functions import Function
from engine.query.parse_faults import Faults
from engine.query.parse_names import Scope, columns_in, is_truth, type_of
from engine.query.parse_values import MAX_NAME, number_of, text_of, value_of
from engine.query.tree import Argument, Call, Column
from engine.values import number_text

__all__ = ["check_together", "check_truth", "class_of", "read_condition"]


def class_of(scope: Scope, value: object, place: str) -> str | None:
    """Return the text of a class, checked against those of the model where all are known."""
    if isinstance(value, str):
        found = text_of(scope.faults, value, place, MAX_NAME)
    elif isinstance(value, bool):
        found = "true" if value else "false"
    else:
        number = number_of(scope.faults, value, place)
        found = None if number is None else number_text(number)
    classes = scope.names.classes
    if found is None or not classes or not scope.names.complete or found in classes:
        return found
    rule = f"a class of model {scope.names.model_id}"
    scope.faults.must(place, rule, value, scope.faults.near(found, classes))
    return None


def read_condition(
    scope: Scope, parameters: dict[str, Argument], given: Mapping[str, object], place: str
) -> None:
    """Read the value of the condition that `rate` counts."""
    operand, comparator = parameters.get("property"), parameters.get("comparator")
    if isinstance(operand, Column | Call) and isinstance(comparator, str):
        entry = ("value" in given, given.get("value"))
        kind = type_of(scope, operand)
        parameters["value"] = value_of(scope.faults, comparator, entry, f"{place}.value", kind)


def check_together(
    faults: Faults, function: Function, parameters: Mapping[str, Argument], place: str
) -> None:
    """Check that parameters that belong together are all given, in ascending order."""
    given = [name for name in function.together if name in parameters]
    if not given:
        return
    if len(given) < len(function.together):
        (missing,) = set(function.together) - set(given)
        faults.say(f"`{place}.{missing}` is missing: {given[0]} is given only together with it")
        return
    low, high = (parameters[name] for name in function.together)
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        first, last = function.together
        faults.must(f"{place}.{last}", f"above {first}={low}", high)


def check_truth(scope: Scope, parameters: Mapping[str, Argument], place: str) -> None:
    """Check that the truth is one, and that the prediction is none (ARx-3)."""
    truth = parameters.get("ground_truth_property")
    predicted = parameters.get("predicted_property")
    wrong = next((each for each in columns_in([truth]) if not is_truth(each)), None)
    other = next((each for each in columns_in([predicted]) if is_truth(each)), None)
    if wrong is not None and other is not None:
        scope.faults.say(
            f"`{place}` must have the ground truth in ground_truth_property and the prediction in"
            f" predicted_property, but they are swapped: {other.name} is a ground truth and"
            f" {wrong.name} is none"
        )
    elif wrong is not None:
        scope.faults.must(
            f"{place}.ground_truth_property",
            "a ground truth: label, or a name within labels",
            wrong.written,
            f", which is {wrong.name}",
        )
    elif other is not None:
        unsure = isinstance(truth, Column) and truth.name not in {"label", *scope.names.properties}
        hint = "; are the two swapped?" if unsure else ""
        scope.faults.must(
            f"{place}.predicted_property",
            "a prediction",
            other.written,
            f", which is the ground truth {other.name}{hint}",
        )
