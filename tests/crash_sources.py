"""The ways that lines come into a store while the process in between is killed again and again.

A source is made over a folder of its own, which it fills with a configuration and the data. Its
`start` starts the real command, and whatever feeds it; `ended` is told when that process is gone,
and gives whether everything was taken, so that nothing is left to be started for.
"""

import atexit
import contextlib
import functools
import gzip
import hashlib
import http.client
import json
import subprocess
import threading
import time
from pathlib import Path

import duckdb
import zstandard
from commands import COMMAND, done
from crash_compare import FIRST_KIND
from crash_settings import written
from feeding import Feeder

__all__ = ["SOURCES", "Alone", "Events", "Files", "Follow", "Kafka", "Repeats", "Stdin"]

BLOCK_BYTES = 1 << 20  # several inputs are read in such blocks, in order of their events
PARTS, BLOCKS = 3, 3  # inputs, and blocks of each at least
NAME = "stream"


class _Source:
    """One process at a time over one data folder.

    Attributes
    ----------
    words : tuple of str
        Of the command, the configuration after the first.
    live : bool
        It never ends by itself; `settle` reads what is left.
    calm : str
        The source, of `SOURCES`, whose calm run it must end as.
    names : tuple of str or None
        The relations that must be equal; None: all.
    without : tuple of str
        The columns that need not be.
    """

    words = ("run",)
    live = False
    calm = "alone"
    names = None
    without = ("source", "partition", "partition_id")
    stdin = subprocess.DEVNULL

    def __init__(self, folder, lines, sections):
        self.folder, self.lines = Path(folder).resolve(), lines
        self.folder.mkdir(parents=True)
        self.data, self.said = self.folder / "data", self.folder / "said.txt"
        self.path = written(self.folder, self.declared(), sections(self.folder))

    def declared(self):
        """Write what is to be read; gives the `sources` of the configuration."""
        raise NotImplementedError

    def start(self, environment=None):
        """Start the command, and what feeds it."""
        words = [*COMMAND, self.words[0], str(self.path), *self.words[1:]]
        with self.said.open("wb") as said:
            return subprocess.Popen(words, env=environment, stdin=self.stdin, stderr=said)

    def ended(self, process):
        """Take note that the process is gone; gives whether everything was taken."""
        return process.returncode == 0

    def settle(self):
        """Start once more, for nothing: what is left to be dropped is dropped, as in all stores."""
        done("run", self.path, timeout=300)

    def close(self):
        """Let go of what feeds it."""


class Files(_Source):
    """Three files, one of them plain, which are read side by side, in several blocks each."""

    calm, without = "files", ()

    def declared(self):
        names = ("a.ndjson", "b.ndjson.gz", "c.ndjson.zst")
        for lines, name in zip(_parts(self.lines), names, strict=True):
            text = b"".join(lines)
            if name.endswith("gz"):
                text = gzip.compress(text, 1)
            elif name.endswith("zst"):
                text = zstandard.compress(text, 1)
            (self.folder / name).write_bytes(text)
        return [{"name": NAME, "files": str(self.folder / "?.ndjson*")}]


class Kafka(_Source):
    """A topic of three partitions, read to its end, of a cluster that nobody kills.

    All stores of a stream read the same topic.
    """

    calm, without = "kafka", ()

    def declared(self):
        cluster, topics = _cluster()
        topic = hashlib.sha256(b"".join(self.lines)).hexdigest()[:16]
        if topic not in topics:
            topics.add(topic)
            cluster.create(topic, PARTS)
            for number, lines in enumerate(_parts(self.lines)):
                cluster.produce(topic, lines, partition=number, codec="zstd")
        return [
            {"name": NAME, "kafka": {"brokers": cluster.brokers, "topic": topic, "until": "end"}}
        ]


@functools.cache
def _cluster():
    """Start a cluster, once; gives it, and the topics that it has."""
    from kafka_cluster import kafka_cluster  # noqa: PLC0415 - needs the extra `kafka`

    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(kafka_cluster()), set()


def _parts(lines):
    """Deal the lines out, padded so that each part makes several blocks."""
    for part in (lines[nth::PARTS] for nth in range(PARTS)):
        pad = b" " * max(0, BLOCKS * BLOCK_BYTES // max(1, len(part)) - 200)
        yield [line.rstrip(b"\n") + pad + b"\n" for line in part]


class Alone(_Source):
    """One file, read from front to end: what the sources of one partition end as, too."""

    def declared(self):
        (self.folder / "all.ndjson").write_bytes(b"".join(self.lines))
        return [{"name": NAME, "files": str(self.folder / "all.ndjson")}]


class Follow(_Source):
    """One file that grows while it is followed."""

    words = ("run", "--follow")
    live = True
    span_s = 6.0

    def declared(self):
        file = self.folder / "grows.ndjson"
        file.touch()
        self.feeder = Feeder(file, self.lines, self.span_s)
        return [{"name": NAME, "files": str(file)}]

    def start(self, environment=None):
        if self.feeder.ident is None:
            self.feeder.start()
        return super().start(environment)

    def settle(self):
        self.close()
        done("run", self.path, timeout=300)  # what is left, which may be all
        super().settle()

    def close(self):
        if self.feeder.ident is not None:
            self.feeder.finish()


class Stdin(_Source):
    """Standard input, whose producer asks the store where to go on."""

    stdin = subprocess.PIPE
    chunk, pause_s = 150, 0.05

    def declared(self):
        self.text, self.feeder = b"".join(self.lines), None
        return [{"name": NAME, "stdin": True}]

    def position(self):
        """Where the producer goes on, in bytes."""
        return self.committed()

    def committed(self):
        """Ask the store for the position that it knows of."""
        file = self.data / "bellwether.duckdb"
        if not file.exists():
            return 0
        with duckdb.connect(str(file), read_only=True) as store:
            views = "SELECT view_name FROM duckdb_views() WHERE view_name = 'progress'"
            if not store.execute(views).fetchall():
                return 0
            found = store.execute("SELECT position FROM progress").fetchall()
            return found[0][0] if found else 0

    def start(self, environment=None):
        position = self.position()
        process = super().start(environment)
        self.feeder = threading.Thread(target=self.feed, args=(process.stdin, position))
        self.feeder.start()
        return process

    def feed(self, pipe, position):
        size = max(1, self.chunk * len(self.text) // len(self.lines))
        try:
            for start in range(position, len(self.text), size):
                pipe.write(self.text[start : start + size])
                pipe.flush()
                time.sleep(self.pause_s)
            pipe.close()
        except OSError:  # it was killed
            self.close_quietly(pipe)

    def close_quietly(self, pipe):
        try:
            pipe.close()
        except OSError:
            return

    def ended(self, process):
        self.feeder.join()
        return process.returncode == 0


class Repeats(Stdin):
    """Standard input, whose producer begins anew whenever it was cut off."""

    names = FIRST_KIND
    without = ("source", "partition", "partition_id", "seq", "position")

    def position(self):
        return 0


class Events(_Source):
    """`/events` of a server, posted to in order, each post under a key and until it is answered."""

    words = ("serve", "--port", "0")
    post_lines = 150

    def declared(self):
        size = self.post_lines
        self.posts = [self.lines[at : at + size] for at in range(0, len(self.lines), size)]
        self.answered, self.poster = 0, None

    def start(self, environment=None):
        process = super().start(environment)
        self.poster = threading.Thread(target=self.post, args=(process,))
        self.poster.start()
        return process

    def port(self, process):
        """Wait for the server; gives its port, or None when it is gone."""
        while process.poll() is None:
            text = self.said.read_text()
            if "serving http://" in text and text.endswith("\n"):
                return int(text.split("serving http://", 1)[1].split("\n", 1)[0].rsplit(":", 1)[1])
            time.sleep(0.02)
        return None

    def post(self, process):
        port = self.port(process)
        if port is None:
            return
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            while self.answered < len(self.posts):
                headers = {"Idempotency-Key": f"post-{self.answered}"}
                body = b"".join(self.posts[self.answered])
                connection.request("POST", "/events", body, headers)
                with connection.getresponse() as answer:
                    told = json.loads(answer.read())
                    assert answer.status == 202, told
                self.answered += 1
            process.terminate()
        except (OSError, http.client.HTTPException):
            return  # it was killed
        finally:
            connection.close()

    def ended(self, process):
        self.poster.join()
        return process.returncode == 0 and self.answered == len(self.posts)


SOURCES = {
    "files": Files,
    "kafka": Kafka,
    "alone": Alone,
    "follow": Follow,
    "stdin": Stdin,
    "repeats": Repeats,
    "events": Events,
}
