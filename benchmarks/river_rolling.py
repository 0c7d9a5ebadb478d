"""What one writes with river over the same file: a rolling confusion matrix per model, no more.

Lines by orjson, one `TimeRolling` confusion matrix of five minutes per model; predictions without a
label wait in a dictionary for it. Nothing is stored; what comes out is the last accuracy of each
model, one line of text each, on standard output.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from river.metrics import ConfusionMatrix
from river.utils import TimeRolling

__all__ = ["rolled"]

_WINDOW = timedelta(minutes=5)


def rolled(source: Path) -> dict[str, TimeRolling]:
    """Give the rolling confusion matrix of each model after the last line of `source`."""
    found: dict[str, TimeRolling] = {}
    waiting: dict[tuple[str, str], str] = {}
    with source.open("rb") as lines:
        for line in lines:
            event = orjson.loads(line)
            model, label = event["model_id"], event.get("label")
            if event["type"] == "label":
                predicted = waiting.pop((model, event["id"]))
            elif label is None:
                waiting[model, event["id"]] = event["prediction"]
                continue
            else:
                predicted = event["prediction"]
            matrix = found.get(model)
            if matrix is None:
                matrix = found[model] = TimeRolling(ConfusionMatrix, period=_WINDOW)
            at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).replace(tzinfo=None)
            matrix.update(label, predicted, t=at)
    return found


def _main() -> None:
    parser = argparse.ArgumentParser(description="Rolling confusion matrices by river.")
    parser.add_argument("--source", type=Path, required=True)
    for model, matrix in sorted(rolled(parser.parse_args().source).items()):
        right = matrix.obj.total_true_positives
        print(f"{model} {right / max(matrix.obj.n_samples, 1):.4f}")


if __name__ == "__main__":
    _main()
