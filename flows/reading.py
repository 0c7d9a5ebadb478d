"""What one reader thread does with a block: decode it, and fold it to pane amounts."""

from collections.abc import Callable

import duckdb

from engine.batch import Batch, Block
from engine.config import Settings
from engine.decode import Decoder
from engine.fold import fold, positives_of
from engine.lists import make_lists

__all__ = ["reader_of"]


def reader_of(settings: Settings, pane_s: int) -> Callable[[Block], Batch]:
    """Make a reader with a DuckDB in memory of its own, for one thread.

    Parameters
    ----------
    settings : Settings
    pane_s : int
        Seconds a stored pane.
    """
    # One thread: sums of floats then depend on the lines alone. DuckDB lets other threads run.
    cursor = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
    make_lists(cursor, settings)
    decoder = Decoder(
        cursor,
        max_future_us=settings.time.max_future_us,
        line_bytes=settings.limits.line_bytes,
        mappings={source.name: dict(source.mapping) for source in settings.sources},
        positive={
            model.id: (model.positive, model.positive_property)
            for model in settings.models
            if model.positive_property is not None
        },
    )
    positives = positives_of(settings.models)
    return lambda block: fold(decoder.decode(block), positives, pane_s)
