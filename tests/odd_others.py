"""Metrics, runs, ingests and model events for hypothesis: correct ones, and as odd as lines get."""

from hypothesis import strategies as st
from odd_lines import IDS, NAMES, NESTED, NUMBERS, STRINGS, TIMES

__all__ = ["ODD", "OTHER_LINES", "RULED", "good_event"]

_IDS = ['"m"', "5", "-5", '"é☃"', "12345678901234567890123"]
_TEXTS = ['"loss"', '"a b"', '"null"', '"é"', '"1.5"']
_AMOUNTS = ["0", "1", "0.0", "-0.0", "2.5", "1e3", "123456789012345678901"]
_TIMES = ["1700000000000", "0", '"2023-11-14T22:13:20Z"', "1700000000000.5", '"2023-11-14"']
_VALUES = ["0.5", "-1", "-0.0", "1e300", '"nan"', '"inf"', '"-inf"', "9007199254740993"]
_STEPS = ["0", "7", "999999999999999999", "9223372036854775807", "-0"]
_STATUS = {"status": _TEXTS, "timestamp": _TIMES}
_LENGTHS = ("queue_time", "pre_time", "job_time", "post_time", "run_time", "stage_time")
# Of each type, the fields that have rules, with good values: those that must be there first.
RULED: dict[str, tuple[dict[str, list[str]], dict[str, list[str]]]] = {
    "metric": (
        {"job_id": _IDS, "name": _TEXTS, "value": _VALUES},
        {"timestamp": _TIMES, "step": _STEPS, "model_id": _IDS, "experiment_id": _IDS},
    ),
    "run": (
        {"id": _IDS, "job_type": _TEXTS, **_STATUS},
        {"version": _IDS, "error_category": _TEXTS, "model_id": _IDS, "job_id": _IDS}
        | dict.fromkeys(_LENGTHS, _AMOUNTS),
    ),
    "ingest": (
        {"id": _IDS, "strike": _IDS, **_STATUS},
        {"model_id": _IDS, "job_id": _IDS}
        | dict.fromkeys(("file_size", "transfer_time", "ingest_time"), _AMOUNTS),
    ),
    "model": ({"model_id": _IDS, **_STATUS}, {"job_id": _IDS}),
}
_FURTHER = {
    "host": ['"n1"', "null"],
    "size": ["1", "0", "2.5", "null"],
    "both": ['"x"', "3", "true", "false", "null"],
    "ok": ["true", "false"],
    "Status": ['"x"'],
    "features.a": ["1"],
}
ODD = [
    *("null", "true", "false", "NaN", "-Infinity", "Infinity", "1e400", "-1e999", "9" * 310),
    *("-0", "-0.0", "-1", "-1e-9", "1.0", "1e2", "1.5", "00", "-", "+1", "1.", "tru", "nan"),
    *("9223372036854775808", "18446744073709551616", "9" * 200, "9" * 257, "1e-400"),
    *('""', '"nan"', '"inf"', '"NaN"', '"1.5"', '":null"', '" true"', '"x,}"'),
    '"' + "x" * 257 + '"',
    *('"' + "é" * 200 + '"', '"a\\"b"', '"\\u006e\\u0061n"', '"\\ud800"', '"\x01"', '"\x7f"'),
    *("[]", "{}", "[1]", '["a"]', '{"a":1}', '{"a":null}', "[1,]", "[NaN]", "[true]"),
    '{"a":1,"a":2}',
    *("1,", '"x","host":"n1"', "1 ,\t", '1,"value":2', '"x","type":"label"', '0,"status":null'),
    *("1700003600001", '"2023-11-14T24:00:00"', "1e20", '"1700000000000"'),
]  # fmt: skip
_ODD_VALUES = st.sampled_from(ODD) | NUMBERS | STRINGS | IDS | TIMES | NESTED
_KEYS = sorted({name for fields in RULED.values() for part in fields for name in part})
_ODD_KEYS = st.sampled_from([*_KEYS, "type", "Type", "host", "size", "both", "label", ""]) | NAMES


@st.composite
def good_event(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Return the fields of a correct event, in any order: keys and JSON texts."""
    kind = draw(st.sampled_from(list(RULED)))
    due, optional = RULED[kind]
    chosen = draw(st.lists(st.sampled_from(list(optional)), max_size=5, unique=True))
    fields = {"type": [f'"{kind}"']} | due
    fields |= {name: [*optional[name], "null"] for name in chosen}
    fields |= {n: _FURTHER[n] for n in draw(st.lists(st.sampled_from(list(_FURTHER)), max_size=2))}
    found = [(name, draw(st.sampled_from(values))) for name, values in fields.items()]
    return draw(st.permutations(found)) if draw(st.booleans()) else found


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    fields = list(draw(good_event()))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        place = draw(st.integers(0, len(fields) - 1))
        how = draw(st.integers(0, 3))
        if how == 0:  # another value
            fields[place] = (fields[place][0], draw(_ODD_VALUES))
        elif how == 1:  # another field, or the same one again
            fields.insert(place, (draw(_ODD_KEYS), draw(_ODD_VALUES)))
        elif how == 2 and len(fields) > 1:
            del fields[place]
        else:  # a key again, with nothing in it
            fields.insert(draw(st.integers(0, len(fields))), (fields[place][0], "null"))
    gap = draw(st.sampled_from(["", "", " ", "  ", "\t"]))
    text = "{" + ",".join(f'{gap}"{name}"{gap}:{gap}{value}{gap}' for name, value in fields)
    ends = st.sampled_from(["}"] * 20 + [",}", ", }", "", "} x", "}}"])
    return (text + draw(ends)).encode("utf-8", "surrogatepass")


OTHER_LINES = _lines()
