"""Lines as odd as lines get, for hypothesis: events with one or two things wrong, and no events."""

from hypothesis import strategies as st

NAMES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "p",
        "é",
        "\u017f",
        "s",
        "x.y",
        "a b",
        "'",
        ":",
        "n",
        "label",
        "id",
        "score",
        "by",
        "features.a",
        "raw",
        "key",
        "Type",
        "f" * 70,
        "null",
        "job_id",
        "",
        "q" * 257,
        "{",
        "a,",
    ]
)


NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-0",
        "-0.0",
        "1.0",
        "0.1",
        "1e2",
        "1E-7",
        "5e-324",
        "1e400",
        "-1e999",
        "NaN",
        "1e22",
        "Infinity",
        "-Infinity",
        "9007199254740993",
        "18446744073709551616",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "9" * 310,
        "12345678901234567890123",
        "0.30000000000000004",
        "1.5",
        "0.0001",
        "0.00001234",
        "123456789.125",
        "-2.50",
        "00",
        "1.",
        "-",
        "+1",
        ".5",
        "2e-3",
        "1e-400",
    ]
) | st.floats(allow_nan=False, allow_infinity=False).map(repr)


STRINGS = st.sampled_from(
    [
        "",
        "x",
        "yes",
        "1.5",
        "true",
        "null",
        ":null",
        ": null,",
        " true",
        "é☃𝄞",
        'a\\"b',
        "\\u00e9",
        "x" * 300,
        "\\ud800",
        "\\ud834\\udd1e",
        "\\u0000",
        "\\n",
        "'",
        "{}",
        ",}",
        "x,}",
        "\\\\",
        "é" * 200,
        "\x7f",
        "\\/",
    ]
).map(lambda text: f'"{text}"')


SCALARS = (
    STRINGS | NUMBERS | st.sampled_from(["true", "false", "null", "tru", "NULL", "nan", "inf"])
)


NESTED = st.sampled_from(
    [
        "[]",
        "{}",
        "[1]",
        '["a"]',
        '{"a":1}',
        '{"a":null}',
        '[{"a":1,"a":2}]',
        "[1,]",
        "[[[[]]]]",
        "[true]",
        '{"a":1,}',
        "[NaN]",
        "[null]",
        '{"label":null}',
        '{"x":{"y":"z"}}',
        "[" * 70 + "]" * 70,
    ]
)


IDS = st.sampled_from(
    [
        '"m"',
        '"e1"',
        "5",
        "-5",
        "-0",
        "5.0",
        '"5"',
        "null",
        '""',
        "true",
        "{}",
        '"' + "x" * 256 + '"',
        "9" * 256,
        '"' + "x" * 257 + '"',
        '"' + "é" * 200 + '"',
        "9" * 257,
        "1e3",
        '"a b"',
        "NaN",
    ]
)


TIMES = st.sampled_from(
    [
        "1700000000000",
        "0",
        "-1",
        "1700000000000.5",
        "1700000000000.0625",
        "0.0005",
        "0.0015",
        "1e12",
        '"x"',
        "1700003600001",
        "1700003600000",
        "253402300799999",
        "253402300800000",
        "1e20",
        "9" * 30,
        "null",
        '"2023-11-14"',
        '"2023-11-14T22:13:20Z"',
        '"2023-11-14 22:13:20.123456789+05:30"',
        '"0001-01-01"',
        '"2023-02-29T00:00:00Z"',
        '"2023-11-14T24:00:00"',
        '"2023-06-30T23:59:60Z"',
        "true",
        '"1700000000000"',
        '"2023-11-14T22:13"',
        '"2023-11-14T22:13:20+0530"',
        '"2023-11-14T22:13:20-05"',
        '"2024-02-29T01:02:03"',
        '"0001-01-01T00:00:00+01:00"',
        '"2023-11-14T22:13:20."',
        '"2023-11-14T22:13:20.1234567891"',
        "-62135596800000",
        '"2023-11-14T22:13:20.5Z"',
        '"2023-13-14T22:13:20"',
        '"\uff12023-11-14T22:13:20"',
        "-62135596800000.5",
        "[]",
    ]
)


KINDS = st.sampled_from(
    [
        '"prediction"',
        '"label"',
        '"reference"',
        '"model"',
        '"metric"',
        '"run"',
        '"ingest"',
        "null",
        '"x"',
        "1",
    ]
)


GOOD_NAMES = st.sampled_from(["a", "A", "b", "p", "é", "s", "x.y", "a b", "'", "n", "label", "id"])


GOOD_NUMBERS = st.sampled_from(
    ["0", "1", "0.25", "3", "-1.5", "1.0", "2e-3", "0.00001", "1e22", "null"]
)


GOOD_SCALARS = GOOD_NUMBERS | st.sampled_from(
    ['"x"', '"yes"', '":null"', '" true"', "true", "false"]
)


GOOD_CLASSES = st.sampled_from(
    ['"x"', '"yes"', "1", "1.0", "0.1", "1e-7", "true", "-0", "1e300", "null"]
)


GOOD_TIMES = st.sampled_from(
    [
        "1700000000000",
        "0",
        "1700000000000.5",
        '"2023-11-14T22:13:20Z"',
        '"2023-11-14 22:13:20.5+01:00"',
    ]
)


@st.composite
def members(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    names = draw(st.lists(GOOD_NAMES, max_size=4, unique=True))
    return "{" + ",".join(f'"{name}":{draw(values)}' for name in names) + "}"


@st.composite
def good_fields(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Return the fields of a correct event, a prediction or a label."""
    label = draw(st.integers(0, 3)) == 0
    fields = (
        [("type", '"label"')] if label else draw(st.sampled_from([[], [("type", '"prediction"')]]))
    )
    fields += [
        ("model_id", draw(st.sampled_from(['"m"', "5"]))),
        ("id", draw(st.sampled_from(['"e"', "7"]))),
    ]
    fields += [("timestamp", draw(GOOD_TIMES))]
    optional = {
        "label": GOOD_CLASSES,
        "labels": members(GOOD_CLASSES if label else GOOD_SCALARS),
        "by": st.sampled_from(['"ana"', "3", "null"]),
        "prediction": GOOD_CLASSES,
        "score": st.sampled_from(["0", "1", "0.5", "null"]),
        "features": members(GOOD_NUMBERS) | members(GOOD_SCALARS),
        "predictions": members(GOOD_NUMBERS),
        "job_id": st.sampled_from(['"j"', "1", "null"]),
        "n": GOOD_NUMBERS,
        "city": GOOD_SCALARS,
    }
    likely = list(optional)[:3] if label else [name for name in optional if name != "by"]
    chosen = draw(st.lists(st.sampled_from(likely), max_size=6, unique=True))
    return fields + [(name, draw(optional[name])) for name in chosen]


ODD_MEMBERS = st.sampled_from(
    [
        "true",
        "false",
        "NaN",
        "-Infinity",
        "1e400",
        '"1.5"',
        '"0"',
        "[1]",
        "[]",
        "{}",
        "null",
        "-0.0",
    ]
)


ODD_VALUES = SCALARS | NESTED | IDS | TIMES | KINDS


KEYS = st.sampled_from(
    [
        "type",
        "model_id",
        "id",
        "timestamp",
        "prediction",
        "label",
        "score",
        "features",
        "labels",
        "by",
        "predictions",
        "job_id",
        "batch_id",
        "city",
        "n",
    ]
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Return a line that is an event, most often with something odd about it."""
    fields = draw(good_fields())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        place = draw(st.integers(0, len(fields) - 1))
        how = draw(st.integers(0, 5))
        if how == 0:  # another value
            fields[place] = (fields[place][0], draw(ODD_VALUES))
        elif how == 1:  # another field, or the same one again
            fields.insert(place, (draw(KEYS | NAMES), draw(ODD_VALUES)))
        elif how == 2:  # an odd member
            odd = draw(members(ODD_MEMBERS) | members(ODD_VALUES) | members(GOOD_NUMBERS))
            fields.append((draw(st.sampled_from(["features", "labels", "predictions"])), odd))
        elif how == 3:  # numbers that only look like it
            odd = draw(members(ODD_MEMBERS))
            fields = [field for field in fields if field[0] != "features"] + [("features", odd)]
        elif how == 4:
            del fields[place]
        else:  # a key again, with nothing in it
            fields.insert(draw(st.integers(0, len(fields))), (fields[place][0], "null"))
        if not fields:
            break
    gap = draw(st.sampled_from(["", "", "", " ", "  ", "\t"]))
    text = "{" + ",".join(f'{gap}"{name}"{gap}:{gap}{value}{gap}' for name, value in fields)
    return (text + draw(st.sampled_from(["}"] * 20 + [",}", ", }", "", "} x", "}}"]))).encode()


NOISE = st.sampled_from(
    [
        b"",
        b" \t",
        b"\x0b",
        b"null",
        b"[]",
        b"[1,2]",
        b"5",
        b"{}",
        b"{",
        b'{"a":',
        b"\xff",
        b'{"a":"\xc3"}',
        b'{"model_id":"m","id":"\xed\xa0\x80","timestamp":1}',
        b"[" * 5000,
        b'{"a":' * 3000,
        b"x" * 2500,
        b'\xef\xbb\xbf{"model_id":"m","id":1,"timestamp":1}',
        b'{"model_id":"m","id":1,"timestamp":1}\x00',
        b'\x0c {"model_id":"m","id":1,"timestamp":1} \r',
        b"\x00",
        b"\r",
        b"{}" * 3,
        b'{"type":"metric","job_id":1,"name":"l","value":"nan"}',
        b'{"type":"model","model_id":"m"}',
        b'{"type":"reference","model_id":"m","features":{"a":1}}',
        b'{"type":"run","id":7,"job_type":"j","status":"ok","timestamp":0,"run_time":1.5}',
    ]
)


LINES = st.lists(st.one_of(*[events()] * 9, NOISE), min_size=1, max_size=8)
