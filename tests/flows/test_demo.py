"""The demo is what a newcomer runs first: an honest stream, right tables, words that fit.

The stream: no label reaches the model before its time. The run: tables equal to brute force over
the events file, a second run changes nothing, and every query that it recommends works.
"""

import re
import shlex
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import duckdb
import orjson
import pytest
from river import datasets

from engine.errors import ConfigurationError, StoreError
from flows.demo import MODEL_ID, ROWS, demo, events


@pytest.fixture(scope="module")
def stream():
    return list(events(7, 600))


def _predictions(stream):
    return [event for event in stream if event["type"] == "prediction"]


def test_law_the_seed_decides_the_stream(stream):
    assert list(events(7, 600)) == stream
    assert list(events(8, 600)) != stream


def test_law_later_segments_change_no_earlier_prediction(stream):
    assert _predictions(events(7, 250)) == _predictions(stream)[:250]


def test_law_the_model_learns_nothing_before_the_first_label(stream):
    first = next(place for place, event in enumerate(stream) if event["type"] == "label")
    assert first >= 15
    assert {(e["prediction"], e["score"]) for e in stream[:first]} == {("brickface", 0.142857)}
    assert len({event["prediction"] for event in _predictions(stream)}) == 7


def test_oracle_the_last_vote_on_each_segment_is_the_truth(stream):
    last = {}
    for event in stream:
        if event["type"] == "label":
            assert event["model_id"] == MODEL_ID
            last[event["id"]] = max(last.get(event["id"], (0, "")), _vote(event))
    truth = [label for _, label in datasets.ImageSegments().take(600)]
    assert [last[f"segment-{n:04d}"][1] for n in range(600)] == truth


def _vote(event):
    return event["timestamp"], event["label"]


def test_law_labels_are_late_corrected_and_out_of_order(stream):
    asked = {event["id"]: event["timestamp"] for event in _predictions(stream)}
    votes = [event for event in stream if event["type"] == "label"]
    assert all(vote["timestamp"] - asked[vote["id"]] >= 5 * 60_000 for vote in votes)
    corrected = [n for n in Counter(vote["id"] for vote in votes).values() if n > 1]
    assert set(corrected) == {2}
    assert 5 <= len(corrected) <= 50
    times = [event["timestamp"] for event in stream]
    assert sum(a > b for a, b in pairwise(times)) > 20


def test_law_scores_and_shares_belong_together(stream):
    for event in _predictions(stream):
        shares = event["predictions"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert event["score"] == shares[f"p_{event['prediction']}"] == max(shares.values())
        assert all(isinstance(value, int | float) for value in event["features"].values())


@pytest.mark.parametrize(
    ("seed", "rows", "words"),
    [
        (-1, None, "`seed` must be 0 or more, got -1"),
        (7, 0, "`rows` must be between 1 and 2,310, got 0"),
        (7, 2_311, "`rows` must be between 1 and 2,310, got 2311"),
    ],
)
def test_error_what_cannot_be_streamed_is_refused(tmp_path, seed, rows, words):
    with pytest.raises(ConfigurationError) as caught:
        demo(str(tmp_path / "data"), seed, rows)
    assert str(caught.value) == words
    assert list(tmp_path.iterdir()) == []


def test_error_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be used: Not a directory"):
        demo(str(tmp_path / "file" / "data"), 7, 10)


# ---- the command ----------------------------------------------------------------------------


def _bellwether(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo data")  # the blank wants quoting
    done = _bellwether("demo", "--data", str(folder))
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def _brute_force(path):
    """Count (label, prediction) with the last vote on each segment."""
    said, last = {}, {}
    for line in path.read_bytes().splitlines():
        event = orjson.loads(line)
        if event["type"] == "prediction":
            said[event["id"]] = event["prediction"]
        else:
            last[event["id"]] = max(last.get(event["id"], (0, "")), _vote(event))
    return Counter((last[key][1], prediction) for key, prediction in said.items())


def _matrix(folder, basis):
    with duckdb.connect(str(folder / "bellwether.duckdb"), read_only=True) as connection:
        found = connection.execute(
            """SELECT label, prediction, sum(count) FROM confusion_matrix
            WHERE time_basis = ? GROUP BY ALL""",
            [basis],
        ).fetchall()
    return Counter({(label, prediction): count for label, prediction, count in found})


def test_oracle_both_matrices_equal_brute_force(shown):
    folder, _ = shown
    (source,) = folder.glob("demo-events-*.ndjson")
    expected = _brute_force(source)
    assert sum(expected.values()) == ROWS
    assert _matrix(folder, "event") == expected
    assert _matrix(folder, "label") == expected


def test_oracle_the_report_tells_what_the_events_say(shown):
    folder, text = shown
    (source,) = folder.glob("demo-events-*.ndjson")
    cells = _brute_force(source)
    for label in {label for label, _ in cells}:
        right, of = cells[label, label], sum(n for (truth, _), n in cells.items() if truth == label)
        assert re.search(rf"^ {label} .*\[{right}\].* {right / of:.1%} *$", text, re.MULTILINE)
    accuracy = sum(n for (label, said), n in cells.items() if label == said) / ROWS
    assert f"{accuracy:.1%} of {ROWS:,} cases" in text


def test_contract_the_report_fits_80_columns_without_colours(shown):
    folder, text = shown
    assert "\x1b" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if str(folder) not in line)
    assert "Accuracy over time" in text


def test_contract_every_query_that_is_recommended_runs_as_printed(shown):
    _, text = shown
    commands = re.findall(r'bellwether sql "[^"]*" --data [^\n]*', text)
    assert len(commands) == 3
    for command in commands:
        done = _bellwether(*shlex.split(command)[1:])
        assert done.returncode == 0, (command, done.stderr)
        assert len(done.stdout.splitlines()) > 5


def test_law_a_second_run_on_the_same_folder_changes_nothing(shown):
    folder, text = shown
    before = _matrix(folder, "label")
    again = _bellwether("demo", "--data", str(folder))
    assert again.returncode == 0, again.stderr
    assert _matrix(folder, "label") == before
    assert again.stdout[again.stdout.index("Confusion") :] == text[text.index("Confusion") :]


def test_law_other_rows_in_the_same_folder_are_repeats(tmp_path):
    for rows in ("60", "90"):
        assert _bellwether("demo", "--data", str(tmp_path), "--rows", rows).returncode == 0
    assert sum(_matrix(tmp_path, "event").values()) == 90
