"""A data folder that was killed midway, with a published copy of an earlier moment, and its twin.

`killed_folder` makes it once: some lines, a run that ends and publishes; more lines behind them in
the same file, a run that takes them and is killed, so that they are in the log alone. `twin` tells
what one calm run over all lines gives.
"""

import contextlib
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from commands import COMMAND, START_MS, owned, relations

from connectors.sqlclient import query
from flows.__main__ import main

__all__ = ["Killed", "flipped", "killed_folder", "lines"]

FIRST, ALL = 1200, 2400
CONFIG = """\
data: data
sources: [{name: stream, files: ["STREAM"]}]
publish: {every: 1h}
users: [{username: eve, email: eve@example.org}]
alert_rules:
  - {model: m0, metric: accuracyRateMulticlass, bound: lower, threshold: 0.45, severity: critical,
     lookback_period: 60}
anomaly_jobs:
  - {job_id: rate, model: m1, bucket_span: 1m, detectors: [{function: count}]}
"""


def lines(count, seed=3):
    """Predictions with labels, some late, some wrong."""
    chance = random.Random(seed)
    for n in range(count):
        event = {
            "model_id": f"m{n % 2}",
            "id": f"e{n}",
            "timestamp": START_MS + n * 500,
            "prediction": chance.choice("ab"),
            "score": round(chance.random(), 3),
            "features": {"x": chance.gauss(0, 1), "city": chance.choice(["Oslo", "Rome"])},
        }
        if chance.random() < 0.7:
            event["label"] = chance.choice("ab")
        yield event
        if chance.random() < 0.2:
            yield {**event, "type": "label", "id": f"e{chance.randrange(n + 1)}", "label": "b"}
        if chance.random() < 0.01:
            yield {"model_id": "m0", "id": f"e{n}", "timestamp": "never"}


class Killed:
    """The folder; `copied` gives copies of it, `expected` all relations of a calm run."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "killed").mkdir()
        content = [json.dumps(event) + "\n" for event in lines(ALL)]
        home, stream = folder / "killed", folder / "stream.ndjson"
        (home / "config.yaml").write_text(CONFIG.replace("STREAM", str(stream)))
        stream.write_text("".join(content[:FIRST]))
        _run(home, "run", "config.yaml")
        with stream.open("a") as file:
            file.writelines(content[FIRST:])
        self.size = stream.stat().st_size
        _killed_behind_all(home, self.size)
        shutil.copytree(home, folder / "calm")
        shutil.rmtree(folder / "calm" / "data")
        _run(folder / "calm", "run", "config.yaml")
        self.expected = relations(folder / "calm" / "data")

    def copied(self, target):
        """Copy it to a folder that is there; its data folder is given."""
        shutil.copytree(self.folder / "killed", target, dirs_exist_ok=True)
        return target / "data"


def killed_folder(tmp_path_factory):
    return Killed(tmp_path_factory.mktemp("damages"))


def _run(home, *words):
    with contextlib.chdir(home):
        assert main(list(words)) == 0


def _killed_behind_all(home, size):
    words = [*COMMAND, "run", "config.yaml", "--follow"]
    with subprocess.Popen(words, cwd=home, stderr=subprocess.DEVNULL) as process:
        deadline_s = time.monotonic() + 60
        while not (owned(home / "data") and _position(home / "data") == size):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)


def _position(data):
    return query(str(data), "SELECT max(position) AS at FROM progress")["at"].to_pylist()[0]


def flipped(path: Path, at: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def command(capsys, home, *words):
    """Run our command in this process, in a folder; gives exit code, output and errors."""
    capsys.readouterr()
    with contextlib.chdir(home):
        code = main(list(map(str, words)))
    return code, *capsys.readouterr()
