"""Any bytes: no crash, no hang, every good line counted, one reject a bad line."""

import json
import random

import pytest
from commands import bellwether, encoded, one, prediction, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.memory import Memory
from engine.config import Settings
from flows.run import run

BLANK = b" \t\r\v\f"

HOSTILE = [
    b"",
    b"   \t",
    b"\r",
    b"\0",
    b"\0" * 300,
    b"{",
    b"[]",
    b"null",
    b"17",
    b'"text"',
    b"{}",
    b"\xff\xfe\xfd",
    b"\xef\xbb\xbf{}",
    b"\r{}\r{}",
    b'{"model_id": "m", "id": "x", "timestamp": 1700000040000}\0',
    b'{"model_id": "m", "id": "\\ud800", "timestamp": 1700000040000, "prediction": "a"}',
    b'{"model_id": "m", "id": "a", "id": "b", "timestamp": 1700000040000, "prediction": "a"}',
    b'{"model_id": "m", "id": "x", "timestamp": 1700000040000, "prediction": NaN}',
    b'{"model_id": "m", "id": "x", "timestamp": 1700000040000, "prediction": 1e400}',
    b'{"model_id": "m", "id": "x", "timestamp": 1e30, "prediction": "a"}',
    b'{"model_id": "m", "id": "x", "timestamp": "yesterday", "prediction": "a"}',
    b'{"type": "label", "model_id": "m", "id": "x", "timestamp": 1700000040000, "label": []}',
    b'{"type": "unheard", "model_id": "m"}',
    b'{"a":' * 100_000,
    b"[" * 200_000,
    b'{"features":' + b'{"a":' * 70 + b"1" + b"}" * 71,
    b"x" * (2 << 20),
    b'{"model_id": "m", "id": "x", "raw": "' + b"y" * (3 << 20) + b'"}',
    b"\xe2\x80\xa8",
    b"'; DROP TABLE events_log; --",
]


def soup(chance, good):
    """Good lines among hostile and random ones; the bytes, and the bad lines that are not blank."""
    parts, bad = [], 0
    for number in range(good):
        parts.append(encoded([prediction(number)]))
        for _ in range(chance.choice([0, 0, 1, 2])):
            line = (
                chance.choice(HOSTILE)
                if chance.random() < 0.5
                else chance.randbytes(chance.randrange(1, 60)).replace(b"\n", b"?")
            )
            parts.append(line + b"\n")
            bad += bool(line.strip(BLANK))
    return b"".join(parts), bad


@pytest.mark.parametrize("seed", [1, 2])
def test_fault_byte_soup_on_standard_input(tmp_path, seed):
    content, bad = soup(random.Random(seed), 60)
    content += b"\0" * (2 << 20)  # a last line without an end
    ended = bellwether("run", "--data", tmp_path, stdin=content)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    assert ended.stderr.count(b"\n") == 1
    assert one(tmp_path, "select count(*) from events") == (60,)
    assert one(tmp_path, "select count(*) from rejects") == (bad + 1,)
    assert one(tmp_path, "select count(distinct position) from rejects") == (bad + 1,)
    assert one(tmp_path, "select max(octet_length(encode(raw))) <= 65536 from rejects") == (True,)
    assert one(tmp_path, "select count(*) from rejects where reason = ''") == (0,)
    assert one(tmp_path, "select position from progress") == (len(content),)


@pytest.mark.parametrize("content", [b"", b"\r", b"\0", b"\xef\xbb\xbf\n\n \r\n"])
def test_fault_next_to_nothing(tmp_path, content):
    assert run(Settings(data=str(tmp_path)), [Memory([content], name="stdin")]) == 0
    assert one(tmp_path, "select count(*) from events") == (0,)
    bad = int(bool(content.removeprefix(b"\xef\xbb\xbf").strip(BLANK + b"\n")))
    assert one(tmp_path, "select count(*) from rejects") == (bad,)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80).map(lambda line: (line.replace(b"\n", b""), False)),
            st.sampled_from(HOSTILE[:-8]).map(lambda line: (line, False)),
            st.integers(0, 9).map(
                lambda n: (json.dumps(prediction(n)).encode(), True),
            ),
        ),
        max_size=20,
    ),
    st.integers(1, 400),
)
def test_law_every_good_line_counts_and_every_bad_one_is_told(tmp_path_factory, lines, cut):
    data = tmp_path_factory.mktemp("soup")
    content = b"".join(line + b"\n" for line, _ in lines)
    pieces = [content[at : at + cut] for at in range(0, len(content), cut)]
    source = Memory(pieces, source="s", name="p", bounded=False)
    source.end()
    assert run(Settings(data=str(data)), [source]) == 0
    good = {line for line, is_good in lines if is_good}
    expected, at = [], 0
    for line, is_good in lines:
        line_is_blank = not line.strip(BLANK)
        if at == 0 and line.startswith(b"\xef\xbb\xbf"):
            line_is_blank = not line[3:].strip(BLANK)
        if not is_good and not line_is_blank:
            expected.append((at,))
        at += len(line) + 1
    assert one(data, "select count(*) from events") == (len(good),)
    assert sorted(rows(data, "select position from rejects")) == expected
