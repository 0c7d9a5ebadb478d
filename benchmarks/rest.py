"""The REST server under load, beside a dataflow that runs flat out.

Prints, of one run each: how many events a second go in through `/events` in posts of 1,000 lines,
with the server on one core and on all; against the same lines read from a file by the same command;
the 50th, 95th and 99th percentile of reads while a file is being read at full speed, alone and with
1,000 clients that send a byte now and then. Usage: ``python -m benchmarks.rest [SECONDS]``.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

LINES, POSTERS, SLOW = 1_000, 64, 1_000
READS = {
    "buckets": "/_ml/anomaly_detectors/count/results/buckets?size=20&sort=timestamp&desc=true",
    "alerts": "/api/v3/alerts?model_id=m0&page_size=20",
    "rules": "/api/v3/models/m0/alert_rules",
    "latest metrics": "/api/v1/jobs/1/metrics",
}
CONFIG = """
models:
  - {id: m0, classes: ["no", "yes"], positive: "yes"}
alert_rules:
  - {model: m0, metric: accuracyRate, bound: lower, threshold: 0.45, severity: warning}
  - {model: m0, metric: count, bound: upper, threshold: 100, severity: critical}
anomaly_jobs:
  - {job_id: count, model: m0, bucket_span: 1m, detectors: [{function: count}]}
"""


def line(number, chance):
    told = {
        "model_id": f"m{number % 4}",
        "id": f"e{number}",
        "timestamp": 1_700_000_000_000 + number * 5,
        "prediction": chance.choice(["no", "yes"]),
        "label": chance.choice(["no", "yes"]),
        "score": round(chance.random(), 3),
        "features": {"x": round(chance.random(), 4), "y": chance.randrange(100)},
    }
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def made(count, first=0):
    chance = random.Random(first)
    return [line(first + n, chance) for n in range(count)]


class Server:
    """`bellwether serve` as a process of its own."""

    def __init__(self, folder, *words, cores=None):
        config = Path(folder) / "bellwether.yaml"
        config.write_text(CONFIG)
        words = ["serve", str(config), "--data", f"{folder}/data", "--port", "0", *words]
        pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows", *words],
            stderr=subprocess.PIPE,
            preexec_fn=pin,  # noqa: PLW1509 - nothing else runs in this process yet
        )
        self.url = ""
        for told in self.process.stderr:
            if told.startswith(b"serving "):
                self.url = told.split()[1].decode()
                break
        os.set_blocking(self.process.stderr.fileno(), False)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        os.set_blocking(self.process.stderr.fileno(), True)
        told = self.process.communicate(timeout=60)[1]
        return told.decode().strip().splitlines()[-1]


async def ingested(url, posts, posters):
    """Post everything, `posters` at once; gives seconds and the seconds of each post.

    Bare sockets: an HTTP client in Python takes more time than the server does.
    """
    host, port = url.removeprefix("http://").split(":")
    queue, times = list(reversed(posts)), []

    async def work():
        reader, writer = await asyncio.open_connection(host, int(port))
        while queue:
            body, status = queue.pop(), 429
            began = time.perf_counter()
            while status == 429:
                head = f"Host: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.writelines([b"POST /events HTTP/1.1\r\n", head.encode(), body])
                told = await reader.readuntil(b"\r\n\r\n")
                status = int(told.split(b" ", 2)[1])
                size = int(told.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(size)
                if status == 429:
                    await asyncio.sleep(0.05)
            assert status == 202, told
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(posters)))
    return time.perf_counter() - began, times


async def read_times(url, seconds):
    """Ask each read in turn, ten times a second; gives the seconds of each by name."""
    found = {name: [] for name in READS}
    until = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while time.perf_counter() < until:
            for name, path in READS.items():
                began = time.perf_counter()
                answer = await client.get(path)
                found[name].append(time.perf_counter() - began)
                assert answer.status_code == 200, (path, answer.text)
                await asyncio.sleep(0.025)
    return found


async def crawled(url, stop):
    """Hold `SLOW` connections that send a byte of a head now and then."""
    host, port = url.removeprefix("http://").split(":")
    writers = []
    for _ in range(SLOW):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/jobs/1/metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        writers.append(writer)
    while not stop.is_set():
        for writer in writers:
            if not writer.is_closing():
                writer.write(b"a")
        await asyncio.sleep(1)
    for writer in writers:
        writer.close()


def told(name, times):
    ranked = sorted(1_000 * each for each in times)
    cut = statistics.quantiles(ranked, n=100)
    print(
        f"  {name:16} p50 {cut[49]:7.1f}  p95 {cut[94]:7.1f}  p99 {cut[98]:7.1f} ms  n={len(times)}"
    )


def bench_ingestion(count):
    lines = made(count)
    posts = [b"".join(lines[at : at + LINES]) for at in range(0, count, LINES)]
    for words, cores in (("one core", {0}), ("all cores", None)):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder, cores=cores)
            took, times = asyncio.run(ingested(server.url, posts, POSTERS))
            summary = server.stop()
        print(f"/events, {words}: {count / took:,.0f} events/s; {summary}")
        told("a post", times)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.ndjson"
        path.write_bytes(b"".join(lines))
        config = Path(folder) / "bellwether.yaml"
        config.write_text(CONFIG)
        words = ["run", str(config), "--source", str(path), "--data", f"{folder}/data"]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "flows", *words], check=True, capture_output=True)
        print(f"the same from a file: {count / (time.perf_counter() - began):,.0f} events/s")


def bench_reads(seconds):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.ndjson"
        with path.open("wb") as file:
            for part in range(int(14 * 2 * seconds)):
                file.writelines(made(10_000, part * 10_000))
        server = Server(folder, "--source", str(path))
        metric = {"type": "metric", "job_id": "1", "name": "loss", "value": 1.0, "step": 1}
        metric["timestamp"] = 1_700_000_000_000 + int(
            14e6 * seconds
        )  # so that it holds nobody back
        httpx.post(f"{server.url}/events", content=json.dumps(metric)).raise_for_status()
        for name in ("with the dataflow at full speed", "and 1,000 slow clients"):
            print(f"reads {name}:")
            for each, times in asyncio.run(_read_beside(server.url, seconds, name)).items():
                told(each, times)
        print(" ", server.stop())


async def _read_beside(url, seconds, name):
    if "slow" not in name:
        return await read_times(url, seconds)
    stop = asyncio.Event()
    crawling = asyncio.create_task(crawled(url, stop))
    await asyncio.sleep(1)
    found = await read_times(url, seconds)
    stop.set()
    await crawling
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=float, default=20)
    seconds = parser.parse_args().seconds
    bench_ingestion(int(40_000 * seconds))
    bench_reads(seconds)


if __name__ == "__main__":
    main()
