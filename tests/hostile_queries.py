"""Query documents for hypothesis: mostly near the grammar, with anything at all in any place."""

from hypothesis import strategies as st

from engine.query.drift_parse import DRIFT_METRICS, ROLLUPS
from engine.query.functions import COMPARATORS, FUNCTIONS

__all__ = ["ANYTHING", "DRIFT_QUERIES", "ODD_NAMES", "QUERIES"]

ODD_NAMES = [
    *("a", "A", "n", "city", "é", "s", "x.y", "a b", "'", '"', '";--', "$.a", "[0]", "*", "%", "_"),
    *("\x00", "\n", "\u202e", "\\", "{", "null", "key", "raw", "position", "__other__", "?"),
]
_FIELDS = [
    *("prediction", "label", "score", "inference_id", "inference_timestamp", "batch_id", "city"),
    *("features.a", "labels.a", "predictions.a", "age", "p_a", "truth", "truth_number", ""),
]
_TEXTS = [
    *("", "x", "A", "B", "Undecided", "__other__", "null", "true", "1", "'; DROP TABLE events; --"),
    *("%", "b%_", "\\", "\x00", "\ud800", "😀", "x" * 1025, "2023-11-14", "-infinity", "nan"),
]
_NUMBERS = [
    *(0, 1, -1, 2, 5, 10, 0.5, -0.0, 1e308, 5e-324, 2**53, 2**63 - 1, 2**63, -(2**63), 10**400),
    *(float("nan"), float("inf"), 1_700_000_000_000, 253402300800000, -62135596800001, True, False),
]

SCALARS = st.sampled_from([None, *_TEXTS, *_NUMBERS])
NAMES = st.sampled_from([*_FIELDS, *_FIELDS, *ODD_NAMES])
ANYTHING = st.recursive(
    SCALARS | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def _or_odd(usual: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.integers(0, 24).flatmap(lambda n: ANYTHING if n == 0 else usual)


def _object(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Give objects with some of the fields; those whose name ends in `_due` have them all."""
    due = {name[:-4]: how for name, how in fields.items() if name.endswith("_due")}
    free = {name: _or_odd(how) for name, how in fields.items() if not name.endswith("_due")}
    usual = st.fixed_dictionaries({n: _or_odd(how) for n, how in due.items()}, optional=free)
    return _or_odd(usual)


def _value(kind: str, choices: tuple[str, ...], operand: st.SearchStrategy[object]) -> object:
    if kind in ("property", "truth", "predicted"):
        return operand
    if kind == "properties":
        return st.lists(NAMES, max_size=3)
    if kind in ("comparator", "choice"):
        return st.sampled_from(choices or COMPARATORS)
    if kind == "class":
        return st.sampled_from(["A", "B", "yes", 1, True])
    if kind in ("number", "whole"):
        return st.sampled_from([0, 0.5, 1, 3, 10, 100])
    return SCALARS


@st.composite
def _call(draw: st.DrawFn, operand: st.SearchStrategy[object]) -> dict[str, object]:
    function = FUNCTIONS[draw(st.sampled_from(sorted(FUNCTIONS)))]
    given: dict[str, object] = {}
    for each in function.parameters:
        if each.required or draw(st.integers(0, 2)):
            given[each.name] = draw(_or_odd(_value(each.kind, each.choices, operand)))
    found: dict[str, object] = {"function": function.name}
    if given:
        found["parameters"] = given
    if draw(st.booleans()):
        found["alias"] = draw(_or_odd(st.sampled_from(["x", "y", "z", *ODD_NAMES])))
    return found


_REFERENCES = st.sampled_from(["x", "y", "z"]).map(lambda name: {"alias_ref": name})
_NESTED = _call(NAMES).map(lambda call: {"nested_function": call})
_OPERANDS = NAMES | NAMES | _REFERENCES | _NESTED
_ITEMS = _call(_OPERANDS) | _object(property_due=NAMES, alias=NAMES)
_FILTERS = _object(
    property_due=_OPERANDS, comparator_due=st.sampled_from(COMPARATORS), value=SCALARS
) | _object(property_due=NAMES, comparator_due=st.just("in"), value=st.lists(SCALARS, max_size=4))
_GROUPS = _object(property_due=NAMES) | _object(alias_due=NAMES) | _call(_OPERANDS)
_ORDERS = _object(
    property_due=st.sampled_from(["x", "count"]) | NAMES,
    direction=st.sampled_from(["asc", "desc"]),
)
_SOURCES = st.sampled_from(["inference", "reference", "all", "ground_truth"])
_WHOLE = st.sampled_from([0, 1, 5, 100, 10_001])


def _query(inner: st.SearchStrategy[object] | None) -> st.SearchStrategy[object]:
    more = {} if inner is None else {"subquery": inner}
    return _object(
        select_due=st.lists(_or_odd(_ITEMS), min_size=1, max_size=4),
        filter=st.lists(_or_odd(_FILTERS), max_size=3),
        group_by=st.lists(_or_odd(_GROUPS), max_size=2),
        order_by=st.lists(_or_odd(_ORDERS), max_size=2),
        limit=_WHOLE,
        offset=_WHOLE,
        **{"from": _SOURCES},
        **more,
    )


QUERIES = _query(None) | _query(_query(_query(None)))
_SIDES = _object(source=_SOURCES, filter=st.lists(_FILTERS, max_size=2))
DRIFT_QUERIES = _object(
    properties_due=st.lists(NAMES, min_size=1, max_size=3),
    metric=st.sampled_from(DRIFT_METRICS),
    num_bins=st.sampled_from([2, 10, 100]),
    base=_SIDES,
    target=_SIDES,
    group_by=st.lists(_object(property_due=NAMES), max_size=2),
    rollup=st.sampled_from(ROLLUPS),
)
