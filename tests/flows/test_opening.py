"""A data folder that is opened beside: handed over whole, or closed again, or its fault told."""

import threading

import numpy as np
import pytest

from connectors.store import Store
from engine.config import Settings
from engine.errors import EndingError, StoreError
from engine.seen import Seen, store_filter
from flows.opening import Opening


def free(folder):
    Store(folder, publish=False).close()  # raises where somebody has it
    return True


def test_golden_what_was_opened_is_handed_over(tmp_path):
    with Opening(Settings(data=str(tmp_path)), threading.Event()) as opening:
        store, (seen, unstored) = opening.wait()
    assert unstored == 0
    assert seen.words(0) == b""
    with pytest.raises(StoreError, match="must be free"):
        free(tmp_path)
    opening.close()
    store.close()
    assert free(tmp_path)


def test_law_the_filter_has_the_keys_of_the_store_as_it_was_opened(tmp_path):
    keys = np.arange(1, 1000, dtype=np.uint64)
    made = Seen()
    made.add(0, keys)
    with Store(tmp_path) as store:
        store_filter(store.cursor, 0, made.words(0))
    with Opening(Settings(data=str(tmp_path)), threading.Event()) as opening:
        store, (seen, unstored) = opening.wait()
        store.begin()
        store.cursor.execute("DELETE FROM seen_filters")
        store.commit()
    assert unstored == 1
    seen.add(1, keys[:5])
    assert seen.ask(keys).flags.all()
    assert seen.ask(keys[:5]).segments == (0, 1)
    opening.close()
    store.close()


def test_error_a_fault_of_the_filter_is_raised_where_it_is_asked(tmp_path):
    with Store(tmp_path) as store:
        store_filter(store.cursor, 0, bytes(7))
    with Opening(Settings(data=str(tmp_path)), threading.Event()) as opening:
        store, (seen, _) = opening.wait()
    for _ in range(2):
        with pytest.raises(ValueError, match="buffer size"):
            seen.ask(np.zeros(1, np.uint64))
    opening.close()
    store.close()
    assert free(tmp_path)


def test_contract_what_nobody_waits_for_is_closed(tmp_path):
    stop = threading.Event()
    with Opening(Settings(data=str(tmp_path)), stop):
        pass
    assert stop.is_set()
    assert free(tmp_path)


def test_error_a_fault_is_raised_where_it_is_waited_for(tmp_path):
    with (
        Store(tmp_path),
        Opening(Settings(data=str(tmp_path)), threading.Event()) as second,
        pytest.raises(StoreError, match="must be free, got locked by process"),
    ):
        second.wait()
    assert free(tmp_path)


def test_contract_a_stop_breaks_it_off_and_closes_the_folder(tmp_path):
    stop = threading.Event()
    stop.set()
    with (
        Opening(Settings(data=str(tmp_path)), stop) as opening,
        pytest.raises(EndingError, match="was stopped before"),
    ):
        opening.wait()
    assert free(tmp_path)
