"""The shard step: pairing, pane deltas and appends of a batch, next to a plain append of its rows.

The difference is what monitoring costs beside storing the events, which nobody can save.
"""

import tempfile
from pathlib import Path

import duckdb

from benchmarks.rooms import best_s, blocks, say
from connectors.store import Store
from engine.config import Settings
from engine.decode import canonical
from engine.monitor import Monitor
from flows.reading import reader_of

__all__: list[str] = []

_BLOCKS = 4


def _main() -> None:
    read = reader_of(Settings(), 60)
    batches = [read(block) for block in blocks(_BLOCKS)]
    count = sum(batch.lines for batch in batches)

    def take() -> None:
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
            store.begin()
            monitor = Monitor(store.cursor, Settings(), 60, canonical)
            for batch in batches:
                monitor.take(batch)
            store.commit()

    def append() -> None:
        with tempfile.TemporaryDirectory() as folder:
            connection = duckdb.connect(str(Path(folder, "plain.duckdb")), config={"threads": 1})
            for number, batch in enumerate(batches):
                connection.register("b", batch.predictions)
                make = "INSERT INTO events" if number else "CREATE TABLE events AS"
                connection.execute(f"{make} SELECT * FROM b")
            connection.close()

    ours, plain = best_s(take, 3), best_s(append, 3)
    say("engine.monitor, everything", ours, "append of the decoded columns alone", plain, count)


if __name__ == "__main__":
    _main()
