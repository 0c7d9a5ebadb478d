"""The obvious stock Bytewax dataflow over the same file: counts in sliding windows, nothing more.

Lines by `FileSource`, orjson per line, keyed by model, `fold_window` with `EventClock` and
`SlidingWindower`: windows of five minutes that start every minute. What comes out is how many
predictions each model made in each window, one line of text each, on standard output.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.files import FileSource
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

__all__ = ["flow"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def flow(source: Path) -> Dataflow:
    """Count the predictions in `source` by model and window.

    ::

        lines ─ parse ─ predictions ─ by_model ─ count ─ text ─ standard output
    """
    dataflow = Dataflow("stock")
    lines = op.input("lines", dataflow, FileSource(source))
    events = op.map("parse", lines, orjson.loads)
    predictions = op.filter("predictions", events, lambda event: event["type"] == "prediction")
    by_model = op.key_on("by_model", predictions, lambda event: event["model_id"])
    counted = win.fold_window(
        "count",
        by_model,
        win.EventClock(_event_time, wait_for_system_duration=timedelta(seconds=10)),
        win.SlidingWindower(
            length=timedelta(minutes=5), offset=timedelta(minutes=1), align_to=_EPOCH
        ),
        int,
        lambda count, _event: count + 1,
        lambda left, right: left + right,
    )
    text = op.map("text", counted.down, lambda row: f"{row[0]} {row[1][0]} {row[1][1]}")
    op.output("out", text, StdOutSink())
    return dataflow


def _event_time(event: Any) -> datetime:
    return datetime.fromtimestamp(event["timestamp"] / 1000, UTC)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Count predictions by stock Bytewax windows.")
    parser.add_argument("--source", type=Path, required=True)
    run_main(flow(parser.parse_args().source))


if __name__ == "__main__":
    _main()
