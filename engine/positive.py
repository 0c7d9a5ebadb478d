"""The probability of the positive class: the value of the property that a model declares."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from engine.arrays import Array, Doubles, Ints, flags, whole
from engine.schema import CONTAINERS

__all__ = ["Positive", "places"]


class Positive:
    """Finds the declared property of each model, from 0 to 1, else null.

    A bare name is looked for as a number in the features, then the predictions, then the labels,
    then as a further field; a qualified one (``labels.x``) only there.

    Parameters
    ----------
    properties : mapping of str to str
        Model to property name.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._places = {model: places(name) for model, name in properties.items()}

    def of(self, model_id: str, numbers: Mapping[str, float]) -> float | None:
        """Return the value for one event with these qualified numeric properties."""
        for place in self._places.get(model_id, ()):
            if place in numbers:
                return numbers[place] if 0.0 <= numbers[place] <= 1.0 else None
        return None

    def column(self, table: pa.Table) -> Array:
        """Return the values for a table with `model_id` and one column per qualified property."""
        found = np.full(table.num_rows, np.nan)
        if self._places and table.num_rows:
            models = whole(table["model_id"]).dictionary_encode()
            places = [self._places.get(model, ()) for model in models.dictionary.to_pylist()]
            code = np.asarray(models.indices)
            for wanted in dict.fromkeys(places):
                rows = np.flatnonzero(np.array([place == wanted for place in places])[code])
                found[rows] = _first(table, wanted, rows)
        fine = (found >= 0.0) & (found <= 1.0)
        return pa.array(np.where(fine, found, 0.0), pa.float64(), mask=~fine)


def places(name: str) -> tuple[str, ...]:
    """Give the qualified names under which a declared property is looked for, in order."""
    container = name.split(".", 1)[0]
    if container in CONTAINERS and "." in name:
        return (name,)
    return (*(f"{container}.{name}" for container in CONTAINERS), name)


def _first(table: pa.Table, places: tuple[str, ...], rows: Ints) -> Doubles:
    found = np.full(len(rows), np.nan)
    for place in reversed([place for place in places if place in table.column_names]):
        values = whole(table[place]).take(pa.array(rows))
        found = np.where(flags(values.is_valid()), values.fill_null(0.0), found)
    return found
