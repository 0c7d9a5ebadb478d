"""Detection on a folder laid out as the Numenta Anomaly Benchmark, by anomaly buckets.

`python -m benchmarks.nab FOLDER [--offsets 0,67,151,211] [--jobs]`, some 20 s for each
offset: by the bank and the normalizer alone, or with `--jobs` by whole jobs in stores, which give
the same. The folder has `data/<group>/<file>.csv` (timestamp, value) and
`labels/combined_windows.json`. Each file is a job of its own with one fixed configuration: detector
`mean` of `value`, a bucket span as long as the usual step of the first hundred rows. The score of a
row is the initial score of the bucket that it ends; rows of an earlier bucket than the one before
them (clocks set back) come too late for any. An offset drops so many rows from what the detector
sees; what is scored, and the probation, stay those of the whole file. See `benchmarks.nab_scores`.
"""

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_columns import Series, scores_of
from benchmarks.nab_jobs import job_scores_of
from benchmarks.nab_scores import PROFILES, Scored, Windows, best

__all__ = ["Cut", "File", "bank_scores", "cut", "job_scores", "main", "read", "score", "scored"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
#: Gives the scores of all buckets of all files.
Scores = Callable[[Sequence["Cut"]], list[Numbers]]

_FIRST = 100  # rows from which a user would choose the bucket span


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """One series as published: times (seconds since the epoch) and values of its rows, windows."""

    name: str
    times_s: Codes
    values: Numbers
    windows: Windows


def read(folder: Path) -> list[File]:
    """Read all files that the labels name.

    Raises
    ------
    FileNotFoundError
        If the labels, or a file that they name, are not there.
    ValueError
        If a row or a label cannot be read.
    """
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return [_file(folder / "data" / name, name, windows) for name, windows in labels.items()]


def _file(path: Path, name: str, windows: list[list[str]]) -> File:
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    times_s = np.array([_seconds(row["timestamp"]) for row in rows], np.int64)
    values = np.array([float(row["value"]) for row in rows])
    within = [
        np.flatnonzero((times_s >= _seconds(first)) & (times_s <= _seconds(last)))
        for first, last in windows
    ]
    return File(name, times_s, values, tuple((int(at[0]), int(at[-1])) for at in within if at.size))


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What a detector sees of a file.

    Attributes
    ----------
    times_s, values : arrays of shape (rows,)
        The rows as they come.
    series : Series
        Their buckets from the first to the last, with the means of the rows that are in time.
    last : int64, shape (buckets,)
        The file's row that ends each bucket, -1 of empty ones.
    """

    times_s: Codes
    values: Numbers
    series: Series
    last: Codes


def cut(file: File, offset: int = 0) -> Cut:
    """Cut a file into buckets; `offset` rows at its begin are not seen."""
    rows = np.arange(offset, len(file.values))
    times_s, values = file.times_s[offset:], file.values[offset:]
    span_s = max(int(np.median(np.diff(times_s[: _FIRST + 1]))), 1)
    buckets = times_s // span_s
    in_time = buckets >= np.maximum.accumulate(buckets)
    place = (buckets - buckets[0])[in_time]
    size = int(place[-1]) + 1
    counts = np.bincount(place, minlength=size)
    sums = np.bincount(place, values[in_time], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    last = np.full(size, -1, np.int64)
    last[place] = rows[in_time]  # the later row of a bucket overwrites the earlier
    starts_s = (buckets[0] + np.arange(size)) * span_s
    return Cut(times_s, values, Series(file.name, span_s, starts_s, means), last)


def bank_scores(cuts: Sequence[Cut]) -> list[Numbers]:
    """Give the scores of all buckets by the bank and the normalizer alone, files as columns."""
    return scores_of([one.series for one in cuts])


def job_scores(cuts: Sequence[Cut]) -> list[Numbers]:
    """Give the scores that jobs of the whole engine write into `anomaly_buckets`."""
    return [job_scores_of(one.times_s, one.values, one.series) for one in cuts]


def scored(files: Sequence[File], offset: int, scores: Scores = bank_scores) -> list[Scored]:
    """Detect in all files, and give each row the score of the bucket that it ends."""
    cuts = [cut(file, offset) for file in files]
    result = []
    for file, one, buckets in zip(files, cuts, scores(cuts), strict=True):
        rows = np.zeros(len(file.values))
        ends = one.last >= 0
        rows[one.last[ends]] = buckets[ends]
        result.append(Scored(rows, file.windows))
    return result


def score(files: Sequence[File], offset: int, scores: Scores = bank_scores) -> list[float]:
    """Give the benchmark's scores, one for each profile."""
    rows = scored(files, offset, scores)
    return [best(rows, profile)[0] for profile in PROFILES]


def main(words: Sequence[str] | None = None) -> None:
    """Print the scores of each offset, and their mean."""
    parser = argparse.ArgumentParser(description="Score anomaly buckets on a folder like NAB.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--offsets", default="0,67,151,211", help="rows dropped, one run for each")
    parser.add_argument("--jobs", action="store_true", help="by whole jobs, some 4 min an offset")
    given = parser.parse_args(words)
    files = read(given.folder)
    windows = sum(len(file.windows) for file in files)
    print(f"{len(files)} files, {windows} windows")
    print(f"{'rows dropped':<14}" + "".join(f"{profile.name:>10}" for profile in PROFILES))
    found = []
    for offset in map(int, given.offsets.split(",")):
        found.append(score(files, offset, job_scores if given.jobs else bank_scores))
        print(f"{offset:<14}" + "".join(f"{value:>10.2f}" for value in found[-1]), flush=True)
    print(f"{'mean':<14}" + "".join(f"{value:>10.2f}" for value in np.mean(found, axis=0)))


if __name__ == "__main__":
    main()
