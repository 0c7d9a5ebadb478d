"""Blocks of metrics: the order of decisions, what goes beyond the limit, and what is undefined."""

from engine.jobs.blocks import OTHER, block_of, blocks_of, choose_labels


def test_golden_declared_decisions_come_first_in_their_order_then_names():
    pairs = {("b", "a"): 1, ("Z", "Z"): 2}
    assert choose_labels(pairs, ("x", "b"), 10) == ("x", "b", "Z", "a")


def test_golden_beyond_the_limit_the_rarest_are_one_decision():
    pairs = {("a", "b"): 5, ("c", "c"): 3, ("d", "e"): 1, ("e", "d"): 1, ("f", "f"): 2}
    labels = choose_labels(pairs, ("z",), 4)
    assert labels == ("z", "a", "b", "c", OTHER)
    matrix = block_of(labels, pairs).confusion_matrix
    assert sum(map(sum, matrix)) == 12
    assert matrix[4][4] == 4  # d, e and f among each other
    assert choose_labels(pairs, ("z",), 6) == ("z", "a", "b", "c", "d", "e", OTHER)
    assert choose_labels(pairs, ("z",), 7) == ("z", "a", "b", "c", "d", "e", "f")


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
