"""Blocks of metrics: the order of decisions, what goes beyond the limit, and what is undefined.

Beyond the limit two different decisions must not pass for one, whatever they are called.
"""

from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.blocks import block_of, blocks_of, choose_labels
from engine.known import ANOTHER, OTHER

names = st.sampled_from(["a", "b", "c", "d", "e", OTHER, ANOTHER])


def test_golden_declared_decisions_come_first_in_their_order_then_names():
    pairs = {("b", "a"): 1, ("Z", "Z"): 2}
    assert choose_labels(pairs, ("x", "b"), 10) == ("x", "b", "Z", "a")


def test_golden_beyond_the_limit_the_rarest_are_one_decision():
    pairs = {("a", "b"): 5, ("c", "c"): 3, ("d", "e"): 1, ("e", "d"): 1, ("f", "f"): 2}
    labels = choose_labels(pairs, ("z",), 4)
    assert labels == ("z", "a", "b", "c", OTHER, ANOTHER)
    block = block_of(labels, pairs)
    assert block.total == 12
    assert block.confusion_matrix[4][4] == 2  # f
    assert block.confusion_matrix[4][5] == 2  # d and e, taken for each other
    assert block.accuracy == (3 + 2) / 12
    assert choose_labels(pairs, ("z",), 6) == ("z", "a", "b", "c", "d", "e", OTHER)
    assert choose_labels(pairs, ("z",), 7) == ("z", "a", "b", "c", "d", "e", "f")


def test_golden_beside_a_decision_that_stays_those_beyond_the_limit_need_no_second_name():
    pairs = {("a", "a"): 5, ("b", "a"): 1, ("a", "c"): 2, ("d", "d"): 1}
    labels = choose_labels(pairs, (), 1)
    assert labels == ("a", OTHER)
    assert block_of(labels, pairs).confusion_matrix == ((5, 2), (1, 1))


@given(
    st.dictionaries(st.tuples(names, names), st.integers(1, 9)),
    st.lists(names, max_size=3, unique=True),
    st.integers(0, 7),
)
def test_law_the_diagonal_holds_the_hits_alone_whatever_the_limit(pairs, declared, limit):
    labels = choose_labels(pairs, declared, limit)
    assert len(set(labels)) == len(labels) <= max(limit, len(declared)) + 2
    block = block_of(labels, pairs)
    assert block.total == sum(pairs.values())
    trace = sum(row[place] for place, row in enumerate(block.confusion_matrix))
    assert trace == sum(count for (truth, told), count in pairs.items() if truth == told)
    if ANOTHER in labels and ANOTHER not in {*declared, *(name for pair in pairs for name in pair)}:
        assert block.confusion_matrix[labels.index(OTHER)][-1] > 0
        assert not any(block.confusion_matrix[-1])


def test_golden_without_events_nothing_is_defined():
    everything, labelled = blocks_of({}, {}, ("a", "b"), 10)
    assert everything == labelled
    assert everything.confusion_matrix == ((0, 0), (0, 0))
    assert everything.accuracy is everything.overall_accuracy is everything.overall_recall is None
    assert block_of((), {}).confusion_matrix == ()


def test_golden_a_mean_leaves_out_what_is_undefined():
    block = block_of(("a", "b", "c"), {("a", "a"): 1, ("a", "b"): 1})
    assert [each.recall for each in block.metrics_per_decision] == [0.5, None, None]
    assert block.overall_recall == 0.5
    assert [each.precision for each in block.metrics_per_decision] == [1.0, 0.0, None]
    assert block.overall_precision == 0.5
    assert block.overall_accuracy == block.macro_ovr_accuracy == (0.5 + 0.5 + 1.0) / 3
    assert block.accuracy == 0.5
