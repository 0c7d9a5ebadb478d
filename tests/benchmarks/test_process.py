"""A figure is only as good as the watch: times and peaks are those of the child alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.process import Measured, measure, medians, write_workload

_ROOT = Path(__file__).resolve().parents[2]


def _python(code):
    return [sys.executable, "-c", code]


_PEAKS = """
import sys
from benchmarks.process import measure
for code in ("pass", "x = bytearray(300_000_000)\\nfor n in range(0, len(x), 4096): x[n] = 1"):
    print(measure([sys.executable, "-c", code]).peak_bytes)
"""


def test_oracle_peak_memory_is_that_of_the_child():
    """Measured from a small process, as the benchmarks are: a large one hands its own peak on."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAKS], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    small, large = map(int, done.stdout.split())
    assert small < 100_000_000
    assert 300_000_000 <= large < 400_000_000


def test_oracle_time_is_from_start_to_exit():
    assert measure(_python("import time; time.sleep(0.3)")).seconds >= 0.3


def test_error_a_failing_command_is_told_with_its_words():
    with pytest.raises(RuntimeError, match=r"ended with 3: no luck"):
        measure(_python("import sys; sys.stderr.write('no luck'); sys.exit(3)"))


def test_oracle_medians():
    runs = [Measured(3.0, 10), Measured(1.0, 30), Measured(2.0, 20)]
    assert medians(runs) == Measured(2.0, 20)


def test_golden_settings_reach_the_generator(tmp_path):
    write_workload(tmp_path / "w", lines=500, models=30, active_share=0.1, step_ms=1_000, seed=3)
    text = (tmp_path / "w").read_text()
    assert text.count("\n") == 500
    assert {f'"model-{n:02d}"' in text for n in range(30)} == {True}
    assert '"timestamp":1700000001000' in text
