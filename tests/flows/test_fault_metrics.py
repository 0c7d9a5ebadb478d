"""Kill -9 while jobs, steps and runs are counted: every answer is that of a calm run.

The stream has several models of one job with late, corrected and disputed labels, deployments in
between, step metrics that are overwritten, runs and ingests that are repeated and corrected, and
rules over steps (`crash_events`). The relations are compared, too, as in all kill tests; here
what people ask of them is asked with the command. `BELLWETHER_KILLS` sets the number of kills (50
at night).
"""

import json
import os
import random

import pytest
from commands import bellwether, encoded
from crash_attack import Attack, calm_run, through
from crash_compare import differences
from crash_events import STEP_RULES, stream
from crash_sources import Alone, Follow

KILLS = int(os.environ.get("BELLWETHER_KILLS", "4"))
EVENTS, SEED = max(4_000, min(40_000, 1_200 * KILLS)), 7
QUESTIONS = [
    ("job", "soc"),
    ("job", "soc", "--filter", "features.city is Oslo", "--filter", "score gte 0.25"),
    ("job", "soc", "--from", "2026-05-28T20:40:00", "--to", "2026-05-28T22:07:13.5"),
    ("steps", "train-1"),
    ("steps", "train-2", "loss", "--page-length", "1000"),
    ("steps", "--experiment", "tuning"),
    ("plot", "job-types", "--page-size", "100"),
    ("plot", "ingests", "--column", "file_size_avg", "--column", "errored_count"),
    ("plot", "errors"),
]
WALL_CLOCK = ("last_recomputed_timestamp",)
SECTIONS = {
    "models": [{"id": f"triage-{n}", "minutes_per_event": 2.5 + n} for n in range(3)],
    "alert_rules": STEP_RULES,
    "users": [{"username": "root", "role": "administrator"}],
}


@pytest.fixture(scope="module")
def lines():
    return [encoded([event]) for event in stream(EVENTS, SEED)]


def answers(data):
    """Ask all questions of a folder that nobody owns."""
    found = {}
    for words in QUESTIONS:
        ended = bellwether("metrics", *words, "--data", data, "--format", "json")
        assert ended.returncode == 0, (words, ended.stderr.decode())
        found[words] = without_clock(json.loads(ended.stdout))
    return found


def without_clock(value):
    if isinstance(value, dict):
        return {key: without_clock(v) for key, v in value.items() if key not in WALL_CLOCK}
    return [without_clock(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def calm(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm") / "store"
    found = calm_run(Alone(folder, lines, lambda _: SECTIONS))
    return found, answers(found.data)


def test_fault_metrics_of_jobs_steps_and_processing_survive_kills(lines, calm, tmp_path):
    expected, told = calm
    attack = Attack(
        lambda folder: Follow(folder, lines, lambda _: SECTIONS),
        *(expected, tmp_path),
        seed=SEED,
    )
    figures = attack.run(KILLS, KILLS, keep=True)
    assert not figures.found, "\n".join(figures.found)
    assert figures.kills.total() > 0, "no run was still going when it was killed"
    for data in tmp_path.glob("store-*/data"):
        assert_alike(answers(data), told)


def test_fault_order_and_repeats_change_no_answer(lines, calm, tmp_path):
    """What is a function of the distinct events alone: the stream shuffled, and piped twice."""
    expected, told = calm
    shuffled = [*lines, *lines[: len(lines) // 3]]
    random.Random(3).shuffle(shuffled)
    source = Alone(tmp_path / "store", shuffled, lambda _: SECTIONS)
    through(source, source.start())
    names = ("step_metrics", "runs", "ingests", "processing_metrics")
    assert differences(source.data, expected.data, names) == []
    assert_alike(answers(source.data), told)


def assert_alike(found, told):
    for words in QUESTIONS:
        assert close(found[words], told[words]), words


def close(one, other):
    """Say whether two answers agree: sums of floats to 1e-9, all else exactly."""
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and abs(one - other) <= 1e-9 * abs(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other
