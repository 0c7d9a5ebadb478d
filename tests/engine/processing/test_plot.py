"""Plot data of the built-in catalogues against a brute force over events, and laws of merging.

The rows of the tables of hours are random deltas, in random order, with zeros, negative values and
hours in which an amount is missing: what they add up to must be what the events behind them say.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plot_tables import (
    FIRST_S,
    HOUR_S,
    NOW_US,
    declare,
    filled,
    naive,
    plot_store,
    points_of,
    write,
)

from engine.errors import QueryError
from engine.processing.hours import choice_of
from engine.processing.plot import PlotQuestion, plot_data

CATALOGUES = {"job-types": 31, "ingests": 17, "errors": 1}


def asked(catalogue, **told):
    return PlotQuestion(catalogue=catalogue, now_us=NOW_US, **told)


def assert_same(series, expected):
    found = points_of(series)
    assert [point[:2] for point in found] == [point[:2] for point in expected]
    values = [point[2] for point in found]
    assert values == pytest.approx([point[2] for point in expected], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("catalogue", CATALOGUES)
@pytest.mark.parametrize("seed", range(3))
def test_oracle_all_columns_over_all_choices(catalogue, seed):
    store, behind = filled(catalogue, np.random.default_rng(seed))
    answer = plot_data(store, asked(catalogue))
    assert answer.page.count == len(answer.series) == CATALOGUES[catalogue]
    for series in answer.series:
        assert_same(series, naive(behind, series.column.name))


@pytest.mark.parametrize("catalogue", CATALOGUES)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_oracle_all_columns_by_choice_in_a_range(catalogue, count):
    store, behind = filled(catalogue, np.random.default_rng(count))
    choices = sorted({choice for choice, _ in behind})[:count]
    low_s, high_s = FIRST_S + HOUR_S, FIRST_S + 4 * HOUR_S
    answer = plot_data(
        store,
        asked(
            catalogue,
            choice_ids=tuple(reversed(choices)),
            started=str(np.datetime64(low_s, "s")),
            ended=str(np.datetime64(high_s, "s")),
        ),
    )
    for series in answer.series:
        assert_same(series, naive(behind, series.column.name, set(choices), low_s, high_s))


def test_oracle_an_hour_whose_rows_cancel_is_none_and_a_choice_without_hours_is_none_either():
    store = plot_store()
    there, gone = (declare(store, "errors", name) for name in ("there", "gone"))
    for choice, hour_s, total in (
        (there, FIRST_S, 2),
        (gone, FIRST_S, 2),
        (gone, FIRST_S, -2),
        (there, FIRST_S + HOUR_S, 1),
        (there, FIRST_S + HOUR_S, -1),
    ):
        write(store, "errors", (choice, hour_s), {"total": total}, {})
    for choices, told in (((), None), ((there,), there)):
        (series,) = plot_data(store, asked("errors", choice_ids=choices)).series
        assert points_of(series) == [(FIRST_S, told, 2)]
    with pytest.raises(QueryError, match="`choice_id` must be one of the choices of errors, got"):
        plot_data(store, asked("errors", choice_ids=(gone,)))


RUNS = st.lists(
    st.tuples(
        st.integers(0, 2),  # choice
        st.integers(0, 2),  # hour
        st.one_of(st.none(), st.integers(-9, 9).map(float)),  # queue_time
    ),
    max_size=25,
)
COLUMNS = ("total_count", "queue_time_sum", "queue_time_min", "queue_time_max", "queue_time_avg")


def place_of(choice, hour):
    return choice_of("job-types", f"type {choice}"), FIRST_S + hour * HOUR_S


def stored(runs, cuts):
    """Write runs as deltas: those of a choice and hour in as many as there are cuts, at most."""
    store, deltas = plot_store(), {}
    for at, (choice, hour, value) in enumerate(runs):
        deltas.setdefault((choice, hour, at % cuts), []).append(value)
    for number in sorted({choice for choice, _, _ in runs}):
        declare(store, "job-types", f"type {number}")
    for (choice, hour, _), values in deltas.items():
        told = [value for value in values if value is not None]
        write(
            store,
            "job-types",
            place_of(choice, hour),
            {"total": len(values)},
            {"queue_time": told},
        )
    return store


@given(RUNS, st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_law_cutting_into_deltas_changes_nothing_and_choices_merge_as_events_do(runs, cuts):
    store = stored(runs, cuts)
    ids = tuple(choice_of("job-types", f"type {number}") for number in {run[0] for run in runs})
    events = {}
    for choice, hour, value in runs:
        told = [] if value is None else [value]
        behind = events.setdefault(place_of(choice, hour), [])
        behind.append(({"total": 1}, {"queue_time": told}))
    for choices in ((), ids):
        answer = plot_data(store, asked("job-types", columns=COLUMNS, choice_ids=choices))
        for series in answer.series:
            chosen = set(choices) if choices else None
            assert_same(series, naive(events, series.column.name, chosen))
