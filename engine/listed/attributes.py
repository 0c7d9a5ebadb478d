"""The attributes of a model: what its events have, by stage and kind.

The latest events tell what there is, and in which container. An attribute goes by its bare name, or
by its qualified one where a name is in several containers: either can be asked for in queries.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from engine.query.stored_names import seen_properties
from engine.schema import CONTAINERS

__all__ = ["Attribute", "attributes_of"]

_STAGES = {
    "features": "PIPELINE_INPUT",
    "predictions": "PREDICTED_VALUE",
    "labels": "GROUND_TRUTH",
    "": "NON_INPUT_DATA",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes
    ----------
    name, property : str
        As it is shown, and qualified.
    kind : str
        ``FLOAT``, ``STRING`` or ``BOOLEAN``.
    stage : str
        ``PIPELINE_INPUT``, ``PREDICTED_VALUE``, ``GROUND_TRUTH`` or ``NON_INPUT_DATA``.
    position : int
        Within the stage, from 0.
    categories : tuple of str
        The classes, of the label and the prediction.
    """

    name: str
    property: str
    kind: str
    stage: str
    position: int
    categories: tuple[str, ...] = ()
    is_positive: bool = False


def attributes_of(
    cursor: duckdb.DuckDBPyConnection, model_id: str, model: Mapping[str, Any]
) -> list[Attribute]:
    """Give the attributes of a model.

    Parameters
    ----------
    model : mapping
        Its row as `engine.listed.models` gives it.
    """
    classes = () if model["is_number"] else tuple(model["classes"])
    kinds = {
        "prediction": "FLOAT" if model["is_number"] else "STRING",
        "label": "FLOAT" if model["is_number"] else "STRING",
        **dict(_kinds(cursor, model_id)),
    }
    places: dict[str, int] = {}
    found = []
    for name in sorted(kinds, key=lambda each: (_rank(each), each)):
        stage, short = _stage(name), name.partition(".")[2] if _within(name) else name
        alone = short == name or not any(_same(short, other) for other in kinds if other != name)
        place = places.get(stage, 0)
        places[stage] = place + 1
        own = classes if name in {"prediction", "label"} else ()
        positive = name == model["positive_property"] or short == model["positive_property"]
        found.append(
            Attribute(short if alone else name, name, kinds[name], stage, place, own, positive)
        )
    return found


def _kinds(cursor: duckdb.DuckDBPyConnection, model_id: str) -> Iterator[tuple[str, str]]:
    """Give the kinds of the properties that events have, by qualified name.

    What was several things is text, as every value has one; what only older events have is a
    number, since only numbers are kept by name.
    """
    for name, seen in seen_properties(cursor, model_id).items():
        if name in {"prediction", "label"} or name.startswith("__"):
            continue
        if seen.booleans and not seen.numbers and not seen.texts:
            yield name, "BOOLEAN"
        else:
            yield name, "STRING" if seen.texts or seen.booleans else "FLOAT"


# ---- names -----------------------------------------------------------------------------------


def _within(name: str) -> str:
    """Give the container that a qualified name says; empty: none."""
    container, dot, _ = name.partition(".")
    return container if dot and container in CONTAINERS else ""


def _same(short: str, other: str) -> bool:
    return other == short or (_within(other) != "" and other.partition(".")[2] == short)


def _stage(name: str) -> str:
    if name in {"prediction", "score"}:
        return "PREDICTED_VALUE"
    return "GROUND_TRUTH" if name == "label" else _STAGES[_within(name)]


def _rank(name: str) -> int:
    """Order stages, and the model's own prediction and label before all others of theirs."""
    stages = tuple(_STAGES.values())
    return 2 * stages.index(_stage(name)) + (name not in {"prediction", "label"})
