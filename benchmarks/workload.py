"""A seeded stream of labelled predictions, as large as wanted: what every benchmark here reads.

Predictions come `step_ms` apart from `START_MS` on. Ninety-nine of a hundred carry their label; for
the others it follows as a `label` event, between one minute and three hours later, in order of
time, so that the last labels stand behind the last prediction. A line has about 340 bytes.

With `active_share` below 1 every model is heard of once at the very start; after that, in each
minute of event time, only that share of the models is active, the next ones in turn.

Numbers come from numpy, text from DuckDB: a few seconds for a million lines. One seed gives one
file, byte for byte, as long as numpy stays the same.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CLASSES", "FEATURES", "START_MS", "Workload", "lines", "write"]

START_MS = 1_700_000_000_000
CLASSES = ("A", "B", "C")
FEATURES = 10
_CLASS_SHARE = (0.5, 0.3, 0.2)
_CHUNK = 250_000  # predictions formatted at a time: some 80 MB of text
_LATENESS_MS = (60_000, 3 * 3_600_000)
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Workload:
    """What the stream is like.

    Attributes
    ----------
    lines : int
        Lines in all, predictions and late labels together.
    models : int
        Distinct models.
    active_share : float
        Share of the models, in (0, 1], that is active in any one minute.
    step_ms : int
        Event time between two predictions, in milliseconds.
    late_share : float
        Share of the predictions, in [0, 1), whose label comes later, as an event of its own.
    seed : int
        Decides every random draw.
    """

    lines: int = 1_000_000
    models: int = 20
    active_share: float = 1.0
    step_ms: int = 10
    late_share: float = 0.01
    seed: int = 7

    @property
    def late(self) -> int:
        """Number of late labels."""
        return round(self.lines * self.late_share / (1 + self.late_share))

    @property
    def predictions(self) -> int:
        """Number of predictions."""
        return self.lines - self.late


def write(workload: Workload, path: Path) -> int:
    """Write the stream to `path` and return its size in bytes."""
    with path.open("wb") as file:
        return sum(file.write(chunk) for chunk in lines(workload))


def lines(workload: Workload) -> Iterator[memoryview]:
    """Yield the stream as chunks of whole lines, in order of time."""
    late, vote_ms = _late_labels(workload)
    formatter = duckdb.connect(config={"threads": 1})
    waiting = pa.table({"ms": pa.array([], pa.int64()), "line": pa.array([], pa.large_string())})
    for start in range(0, workload.predictions, _CHUNK):
        stop = min(start + _CHUNK, workload.predictions)
        columns, labels = _draw(workload, start, stop, late, vote_ms)
        predictions = formatter.from_arrow(columns).query("p", _PREDICTION_SQL).to_arrow_table()
        votes = formatter.from_arrow(labels).query("v", _LABEL_SQL).to_arrow_table()
        pool = pa.concat_tables([waiting, *(t.cast(waiting.schema) for t in (predictions, votes))])
        # A label of this chunk waits until the predictions before it have been written.
        end_ms = START_MS + stop * workload.step_ms
        due = pc.less(pool["ms"], end_ms) if stop < workload.predictions else None
        waiting = pool.filter(pc.invert(due)) if due is not None else pool.slice(0, 0)
        yield _bytes(pool.filter(due) if due is not None else pool)


def _late_labels(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Which predictions are labelled late, ascending, and when (ms): int64, shape (late,)."""
    random = np.random.Generator(np.random.Philox([workload.seed, 0]))
    which = np.sort(random.choice(workload.predictions, workload.late, replace=False))
    low, high = np.log(_LATENESS_MS)
    delay = np.exp(random.uniform(low, high, workload.late)).astype(np.int64)
    return which, START_MS + which * workload.step_ms + delay


def _draw(
    workload: Workload, start: int, stop: int, late: np.ndarray, vote_ms: np.ndarray
) -> tuple[pa.Table, pa.Table]:
    """Draw predictions `start` to `stop` and the labels that will follow them, as columns."""
    random = np.random.Generator(np.random.Philox([workload.seed, 1, start]))
    number = np.arange(start, stop)
    at = START_MS + number * workload.step_ms
    model = _models(workload, number, random)
    width = len(str(workload.models - 1))
    names = pa.array([f"model-{m:0{width}d}" for m in range(workload.models)])
    truth = random.choice(len(CLASSES), stop - start, p=_CLASS_SHARE)
    right = random.random(stop - start) < 0.8 + 0.15 * (model % 20) / 20
    chosen = np.where(right, truth, (truth + random.integers(1, 3, stop - start)) % len(CLASSES))
    score = np.where(right, random.beta(5, 1.5, stop - start), random.beta(2, 2, stop - start))
    span = slice(*np.searchsorted(late, [start, stop]))
    is_late = np.isin(number, late[span], assume_unique=True)
    classes = pa.array(CLASSES)
    columns = {
        "number": pa.array(number),
        "ms": pa.array(at),
        "model": names.take(pa.array(model)),
        "prediction": classes.take(pa.array(chosen)),
        "label": classes.take(pa.array(truth, mask=is_late)),
        "score": pa.array((1 / 3 + score * 2 / 3).round(4)),
    }
    for feature in range(FEATURES):
        # Four to six digits: shares, counts and measurements about a centre that drifts by model.
        digits = 4 + feature % 3
        drawn = random.integers(0, 10**digits, stop - start) / 10.0 ** (digits - feature % 4)
        columns[f"f{feature}"] = pa.array(drawn)
    labels = pa.table(
        {
            "number": pa.array(late[span]),
            "ms": pa.array(vote_ms[span]),
            "model": columns["model"].filter(pa.array(is_late)),
            "label": classes.take(pa.array(truth[is_late])),
        }
    )
    return pa.table(columns), labels


def _models(workload: Workload, number: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Which model makes each prediction: int64, shape of `number`."""
    active = max(1, round(workload.models * workload.active_share))
    pick = random.integers(0, active, len(number))
    if active == workload.models:
        return pick
    minute = number * workload.step_ms // _MINUTE_MS
    rotating = (minute * active + pick) % workload.models
    return np.where(number < workload.models, number, rotating)


def _bytes(table: pa.Table) -> memoryview:
    """The lines of `table`, sorted by time, as one run of bytes: the strings' own buffer."""
    order = pa.array(np.argsort(table["ms"].to_numpy(), kind="stable"))
    text = table["line"].take(order).combine_chunks()
    text = text.chunk(0) if isinstance(text, pa.ChunkedArray) else text
    offsets = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    return memoryview(text.buffers()[2])[offsets[0] : offsets[-1]]


_FEATURE_SQL = ", ',', ".join(f"'\"feature_{f}\":', f{f}" for f in range(FEATURES))
_PREDICTION_SQL = f"""
    SELECT ms, concat(
        '{{"type":"prediction","model_id":"', model, '","job_id":"benchmark","id":"e',
        printf('%09d', number), '","timestamp":', ms, ',"prediction":"', prediction,
        '","score":', score, ',"features":{{',
        {_FEATURE_SQL},
        '}}', if(label IS NULL, '', concat(',"label":"', label, '"')), '}}', chr(10)) AS line
    FROM p"""

_LABEL_SQL = """
    SELECT ms, concat(
        '{"type":"label","model_id":"', model, '","id":"e', printf('%09d', number),
        '","timestamp":', ms, ',"label":"', label, '"}', chr(10)) AS line
    FROM v"""


def _main() -> None:
    default = Workload()
    parser = argparse.ArgumentParser(description="Write a seeded workload as NDJSON.")
    parser.add_argument("--lines", type=int, default=default.lines)
    parser.add_argument("--models", type=int, default=default.models)
    parser.add_argument("--active-share", type=float, default=default.active_share)
    parser.add_argument("--step-ms", type=int, default=default.step_ms)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--output", type=Path, required=True)
    given = vars(parser.parse_args())
    path = given.pop("output")
    size = write(Workload(**given), path)
    print(f"{path}: {given['lines']:,} lines, {size:,} bytes, {size / given['lines']:.0f} a line")


if __name__ == "__main__":
    _main()
