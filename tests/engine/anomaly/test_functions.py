"""The detector functions: those of the contract are all there, each with Elastic's meaning."""

import pytest

from engine.anomaly.functions import FUNCTIONS, REFUSED

CONTRACT = {
    # name: (measures, needs a field, an empty bucket is 0, values are counts)
    "count": (("count",), False, True, True),
    "non_zero_count": (("count",), False, False, True),
    "distinct_count": (("distinct_count",), True, True, True),
    "min": (("min",), True, False, False),
    "max": (("max",), True, False, False),
    "median": (("median",), True, False, False),
    "mean": (("mean",), True, False, False),
    "metric": (("mean", "min", "max"), True, False, False),
    "varp": (("varp",), True, False, False),
    "sum": (("sum",), True, True, False),
    "non_null_sum": (("sum",), True, False, False),
    "rare": (("rare",), False, False, False),
    "freq_rare": (("freq_rare",), False, False, False),
    "time_of_day": (("time_of_day",), False, False, False),
    "time_of_week": (("time_of_week",), False, False, False),
}
SIDED = ("count", "non_zero_count", "distinct_count", "mean", "median", "varp", "sum")
SIDED += ("non_null_sum",)
SHORT = {"avg": "mean", "nzc": "non_zero_count", "dc": "distinct_count"}


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_ELi_16_each_function_measures_what_it_says(name):
    found = FUNCTIONS[name]
    assert (found.bases, found.needs_field, found.zero, found.counts) == CONTRACT[name]
    assert (found.name, found.side) == (name, 0)


@pytest.mark.parametrize("name", SIDED)
def test_contract_ELi_16_one_sided_forms_differ_in_their_side_alone(name):
    for prefix, side in (("low_", -1), ("high_", 1)):
        found = FUNCTIONS[prefix + name]
        assert (found.name, found.side, found.needs) == (prefix + name, side, ())
        told = (found.bases, found.needs_field, found.zero, found.counts)
        assert told == CONTRACT[name]


def test_contract_ELi_16_there_are_no_others_but_other_names():
    sides = {f"{side}{name}" for name in SIDED for side in ("low_", "high_")}
    short = {
        f"{side}{name}": f"{side}{SHORT[name]}" for name in SHORT for side in ("", "low_", "high_")
    }
    assert set(FUNCTIONS) == set(CONTRACT) | sides | set(short)
    for name, long in short.items():
        assert FUNCTIONS[name] is FUNCTIONS[long]


def test_contract_ELi_15_what_looks_for_rare_values_needs_them():
    needs = {name: each.needs for name, each in FUNCTIONS.items() if each.needs}
    assert needs == {"rare": ("by",), "freq_rare": ("by", "over")}


def test_contract_ELi_16_what_there_is_not_says_why():
    assert set(REFUSED) == {"lat_long", "info_content", "low_info_content", "high_info_content"}
    assert not set(REFUSED) & set(FUNCTIONS)
    assert all(len(reason.split()) > 3 for reason in REFUSED.values())


def test_law_a_bucket_without_rows_is_a_value_only_where_measures_add_up():
    """An average of nothing is nothing; a number or a sum of nothing is 0."""
    zero = {base for each in FUNCTIONS.values() if each.zero for base in each.bases}
    assert zero == {"count", "distinct_count", "sum"}
