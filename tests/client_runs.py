"""Environments of the published clients, and a served run for them to talk to."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

KEY = "key-of-the-administrator-for-clients"
START_MS = 1_735_725_600_000  # 2025-01-01T10:00:00Z
_BUILD_S, _START_S, _STOP_S = 1_200, 60, 20

CONFIG = """
data: {data}
users:
  - {{username: administrator, email: administrator@example.org, role: administrator,
     api_key_sha256: {digest}}}
models:
  - id: triage
    job: "7"
    classes: [Drop, Investigate, Escalate]
    positive: Escalate
    positive_property: p_escalate
    minutes_per_event: 12.5
  - {{id: loans, classes: ["no", "yes"], positive: "yes", positive_property: p_yes}}
notifications:
  smtp: {{host: 127.0.0.1, port: 2525, from: bellwether@example.org}}
"""


# ---- environments ------------------------------------------------------------------------------


def environment(folder, kept):
    """Give the Python of a client's environment; built once, and kept for the next time.

    Parameters
    ----------
    folder : Path
        With `requirements.txt`. A comment `# pip install OPTIONS: …` in it gives options of pip.
    kept : Path
        Where environments are kept, by what they require.
    """
    required = (folder / "requirements.txt").read_text()
    digest = hashlib.sha256(required.encode()).hexdigest()[:12]
    made = kept / f"{folder.name}-{digest}"
    python, ready = made / "bin" / "python", made / "ready"
    if ready.exists():
        return python
    _done([sys.executable, "-m", "venv", "--clear", str(made)])
    names = [line.strip() for line in required.splitlines()]
    names = [line for line in names if line and not line.startswith("#")]
    if names:
        options = pip_options(required)
        _done([str(python), "-m", "pip", "install", "-q", *options, *names])
    ready.touch()
    return python


def pip_options(required):
    """Give the options of pip that a file of requirements asks for.

    >>> pip_options("# pip install --no-deps: the client alone\\nx==1\\n")
    ['--no-deps']
    """
    found = []
    for line in required.splitlines():
        _, start, rest = line.partition("# pip install ")
        if start:
            found += rest.partition(":")[0].split()
    return found


def _done(words):
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_BUILD_S)
    assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}\n{ended.stderr}"


# ---- a served run ------------------------------------------------------------------------------


@contextlib.contextmanager
def served(folder):
    """Run `bellwether serve` as a process of its own, with a stream in it; gives its address."""
    config = folder / "bellwether.yaml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    config.write_text(CONFIG.format(data=folder / "data", digest=digest))
    told = folder / "told.txt"
    words = [sys.executable, "-m", "flows", "serve", str(config), "--port", "0"]
    with told.open("wb") as file, subprocess.Popen(words, stdout=file, stderr=file) as process:
        try:
            url = _address(process, told)
            _post(url, stream())
            yield url
            assert process.poll() is None, told.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()


def _address(process, told):
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s and process.poll() is None:
        for line in told.read_text().splitlines():
            if line.startswith("serving http"):
                return line.split()[1]
        time.sleep(0.05)
    raise AssertionError(told.read_text())


def _post(url, events):
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    answer = httpx.post(
        f"{url}/events", content=lines, headers={"X-Api-Key": KEY}, timeout=_START_S
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["rejected_count"] == 0, answer.text


# ---- the stream --------------------------------------------------------------------------------


def stream():
    """Give the events that every client finds: two models over a day, a reference set, a job."""
    rng = random.Random(7)
    yield {"type": "model", "model_id": "triage", "job_id": "7", "status": "deployed",
           "timestamp": START_MS}  # fmt: skip
    for i in range(500):
        yield {"type": "reference", "model_id": "loans", "id": f"reference-{i}", **_loan(rng)}
    for i in range(2_000):
        at = {"timestamp": START_MS + i * 40_000}
        yield {"model_id": "loans", "id": f"loan-{i}", **at, **_loan(rng)}
        if i % 7:
            truth = rng.random() < 0.4
            yield {"type": "label", "model_id": "loans", "id": f"loan-{i}", **at,
                   "label": "yes" if truth else "no", "labels": {"repaid": int(truth)}}  # fmt: skip
        yield from _alert(rng, i, at)


def _loan(rng):
    share = round(rng.random(), 4)
    return {
        "prediction": "yes" if share >= 0.5 else "no",
        "features": {
            "city": rng.choice(["Boston", "Oslo", "Bern"]),
            "age": rng.randrange(18, 70),
            "amount": round(rng.lognormvariate(8, 1), 2),
        },
        "predictions": {"p_yes": share},
    }


def _alert(rng, number, at):
    """Give what an analyst decided, and mostly confirmed, of one alert."""
    known = {"model_id": "triage", "id": f"alert-{number}", **at}
    decided = rng.choices(["Drop", "Investigate", "Escalate"], [6, 3, 1])[0]
    yield known | {
        "job_id": "7",
        "bucket_id": f"bucket-{number % 50}",
        "prediction": decided,
        "score": round(0.5 + rng.random() / 2, 3),
        "predictions": {"p_escalate": round(rng.random(), 3)},
        "features": {"source": rng.choice(["mail", "web", "host"]), "bytes": rng.randrange(10_000)},
    }
    if number % 3:
        truth = decided if rng.random() < 0.8 else "Investigate"
        yield known | {"type": "label", "label": truth, "by": rng.choice(["ana", "bo"])}


def kept_in(cache):
    """Give the folder that environments are kept in."""
    named = os.environ.get("BELLWETHER_CLIENTS_VENVS")
    folder = Path(named) if named else Path(cache.mkdir("clients"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
