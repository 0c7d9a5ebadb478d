"""Names in a query: which property of the model, or column of the subquery, each one is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.query.columns import ANYWHERE
from engine.query.functions import FUNCTIONS
from engine.query.names import ModelNames
from engine.query.parse_faults import Faults
from engine.query.tree import Argument, Call, Column

__all__ = [
    "MAX_DEPTH",
    "REGULAR",
    "Scope",
    "column_of",
    "columns_in",
    "depth_of",
    "has_aggregate",
    "is_known",
    "is_truth",
    "type_of",
]

MAX_DEPTH = 10
"""How deep functions and subqueries may nest."""

REGULAR: Mapping[str, str] = {
    "inference_timestamp": "time",
    "received_timestamp": "time",
    "ground_truth_timestamp": "time",
    "inference_id": "id",
    "partner_inference_id": "id",
    "batch_id": "id",
    "job_id": "id",
    "bucket_id": "id",
    "prediction": "mixed",
    "label": "mixed",
    "score": "number",
}
"""Properties that every row has, and their types: ARi-09."""

_CONTAINERS = ("features", "predictions", "labels")


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean where one query is read.

    Attributes
    ----------
    columns : mapping of str to str, or None
        Name to type of the columns of the subquery; None where there is no subquery.
    aliases : dict of str to Column or Call
        Of the items of the select read so far.
    lenient : bool
        Whether the subquery has faults, so that a name unknown here is no further one.
    """

    names: ModelNames
    faults: Faults
    columns: Mapping[str, str] | None = None
    aliases: dict[str, Column | Call] = field(default_factory=dict)
    lenient: bool = False


def column_of(scope: Scope, written: str, place: str, role: str = "property") -> Column | None:
    """Return the property of that name, None with a fault if there is none.

    Parameters
    ----------
    role : str
        ``truth`` looks a bare name up in the labels first.

    Notes
    -----
    While not all properties are known, an unknown bare name `x` is ``?.x``: wherever a row has it
    (`engine.query.columns.anywhere`); as a truth it is ``labels.x``.
    """
    if written == "*":
        return Column("*", written, place)
    if scope.columns is not None:
        if scope.lenient or written in scope.columns:
            return Column(written, written, place)
        hint = scope.faults.near(written, scope.columns)
        scope.faults.must(place, "a column of the subquery", written, hint)
        return None
    name = _resolved(scope.names, written, role)
    if name is not None:
        return Column(name, written, place)
    if written == "model_id":
        scope.faults.say(f"`{place}` must not be model_id: a query is about one model")
    else:
        known = _known(scope.names)
        hint = scope.faults.near(written, known)
        scope.faults.must(place, f"a property of model {scope.names.model_id}", written, hint)
    return None


def _resolved(names: ModelNames, written: str, role: str) -> str | None:
    """Return the resolved name, None for an unknown one."""
    if written in REGULAR:
        return written
    if written == "model_id" or not written:
        return None
    bare = ("labels", "features", "predictions") if role == "truth" else _CONTAINERS
    qualified = written.startswith(tuple(f"{each}." for each in _CONTAINERS))
    for name in ([written] if qualified else []) + [f"{each}.{written}" for each in bare]:
        if name in names.properties:
            return name
    if qualified and not names.complete:
        return written
    if written in names.properties:  # a further field, which may itself be called "?.x"
        return f"{ANYWHERE}{written}" if written.startswith(ANYWHERE) else written
    guess = f"labels.{written}" if role == "truth" else f"{ANYWHERE}{written}"
    return None if names.complete else guess


def _known(names: ModelNames) -> Iterator[str]:
    """Give every name that a query may use: bare ones where there are any."""
    for name in names.properties:
        head, dot, rest = name.partition(".")
        yield rest if dot and head in _CONTAINERS else name
    yield from names.properties
    yield from REGULAR


def is_known(scope: Scope, written: str) -> bool:
    """Whether a name is one of a property or of a column of the subquery, and no guess."""
    if scope.columns is not None:
        return written in scope.columns
    return _resolved(replace(scope.names, complete=True), written, "property") is not None


def type_of(scope: Scope, node: Column | Call) -> str:
    """Return number, text, mixed, time, id or several; what is not known is mixed."""
    if isinstance(node, Call):
        return FUNCTIONS[node.function].result
    if scope.columns is not None:
        return scope.columns.get(node.name, "mixed")
    regular = REGULAR.get(node.name, "mixed")
    return scope.names.properties.get(node.name, "mixed") if regular == "mixed" else regular


def columns_in(nodes: Iterable[Argument]) -> Iterator[Column]:
    """Give the columns of some nodes and of all that is nested in them."""
    for node in nodes:
        if isinstance(node, Column):
            yield node
        elif isinstance(node, Call):
            yield from columns_in(node.parameters.values())
            names = node.parameters.get("properties")
            for index, name in enumerate(names if isinstance(names, tuple) else ()):
                place = f"{node.place}.parameters.properties[{index}]"
                yield Column(str(name), str(name), place)


def depth_of(node: Argument) -> int:
    """Return how deep calls nest in a node: 0 for a column."""
    if not isinstance(node, Call):
        return 0
    return 1 + max((depth_of(each) for each in node.parameters.values()), default=0)


def has_aggregate(node: Argument) -> bool:
    """Whether a node is an aggregate; arguments never are one."""
    return isinstance(node, Call) and FUNCTIONS[node.function].kind != "row"


def is_truth(column: Column) -> bool:
    """Whether a column is the label or a named truth."""
    return column.name == "label" or column.name.startswith("labels.")
