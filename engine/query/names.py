"""What a query may name of one model: its properties, their types, its classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ModelNames", "PropertyType"]

PropertyType = Literal["number", "text", "mixed"]


@dataclass(frozen=True, slots=True)
class ModelNames:
    """A model as far as queries need it.

    Attributes
    ----------
    properties : mapping of str to str
        Qualified name (``features.age``; a further field: its bare name) to number, text (strings
        and booleans) or mixed.
    classes : tuple of str
        In the order of the matrix.
    positive, positive_property : str or None
        As declared.
    threshold : float
        Probability from which the positive class is predicted.
    complete : bool
        Whether `properties` is all there is: then an unknown name is refused. While nothing has
        arrived yet, or not everything, an unknown bare name is looked for row by row.
    """

    model_id: str
    properties: Mapping[str, PropertyType] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    positive: str | None = None
    positive_property: str | None = None
    threshold: float = 0.5
    complete: bool = True
