"""Kill -9 at random moments while anomaly jobs run: the same rows and scores, to the last digit.

Jobs of all kinds over predictions, late labels and runs, with alert rules on their scores, and
lines that keep coming while the command is killed and started again. `BELLWETHER_KILLS` sets the
number of kills (50 at night).
"""

import os

import pytest
from commands import one
from crash_attack import Attack, calm_run
from crash_settings import ANOMALY_JOBS, SCORE_RULES
from crash_sources import Alone, Follow
from crash_stream import SHOP, visited

KILLS = int(os.environ.get("BELLWETHER_KILLS", "4"))
BUCKETS, SEED = max(300, min(2_000, 60 * KILLS)), 5
SECTIONS = {"models": [{"id": SHOP}], "anomaly_jobs": ANOMALY_JOBS, "alert_rules": SCORE_RULES}


@pytest.fixture(scope="module")
def lines():
    return visited(SEED, BUCKETS)


@pytest.fixture(scope="module")
def calm(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm") / "store"
    return calm_run(Alone(folder, lines, lambda _: SECTIONS))


def test_fault_anomaly_results_survive_kills(lines, calm, tmp_path):
    assert one(calm.data, "SELECT count(*) FROM anomaly_buckets")[0] > 1.5 * BUCKETS
    assert one(calm.data, "SELECT count(*) FROM anomaly_records")[0]
    assert one(calm.data, "SELECT count(*) FROM alerts")[0]
    attack = Attack(
        lambda folder: Follow(folder, lines, lambda _: SECTIONS),
        *(calm, tmp_path),
        seed=SEED,
    )
    figures = attack.run(KILLS, KILLS)
    assert not figures.found, "\n".join(figures.found)
    assert figures.kills.total() > 0, "no run was still going when it was killed"
