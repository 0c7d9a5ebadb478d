"""The naive twin of `metric_values`: every window at every step, in exact fractions.

Events stay in a list; all steps are walked one by one, the events of the window are added up anew,
and the repeats are dropped at the end. No sums of panes, no deltas, no steps left out.
"""

import math
from collections import Counter
from fractions import Fraction

from metric_panes import CLASSES, MODELS, Event, Model, bases, pane_of, probability

Row = tuple[float | None, int, float | None]
Key = tuple[str, str, str | None, str, int]


def _share(above: int | Fraction, below: int | Fraction) -> Fraction | None:
    return None if below == 0 else Fraction(above) / Fraction(below)


def _mean(values: list[Fraction | None]) -> Fraction | None:
    defined = [v for v in values if v is not None]
    return _share(sum(defined, Fraction(0)), len(defined))


def _one_class(pairs: list[tuple[int, int]], name: int) -> dict[str, Fraction | None]:
    tp = sum(y == name == x for y, x in pairs)
    fp = sum(y != name == x for y, x in pairs)
    fn = sum(x != name == y for y, x in pairs)
    tn = len(pairs) - tp - fp - fn
    return {
        "truePositiveRateMulticlass": _share(tp, tp + fn),
        "trueNegativeRateMulticlass": _share(tn, tn + fp),
        "falsePositiveRateMulticlass": _share(fp, tn + fp),
        "falseNegativeRateMulticlass": _share(fn, tp + fn),
        "precisionMulticlass": _share(tp, tp + fp),
        "f1Multiclass": _share(2 * tp, 2 * tp + fp + fn),
        "macroOvrAccuracy": _share(tp + tn, len(pairs)),
    }


def _binary(pairs: list[tuple[bool, bool]]) -> dict[str, Fraction | None]:
    counts = Counter(pairs)
    tp, fn, fp, tn = (
        counts[True, True],
        counts[True, False],
        counts[False, True],
        counts[False, False],
    )
    tpr, tnr = _share(tp, tp + fn), _share(tn, tn + fp)
    return {
        "accuracyRate": _share(tp + tn, len(pairs)),
        "balancedAccuracyRate": None if tpr is None or tnr is None else (tpr + tnr) / 2,
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "falseNegativeRate": _share(fn, tp + fn),
        "falsePositiveRate": _share(fp, tn + fp),
        "precision": _share(tp, tp + fp),
        "recall": tpr,
        "sensitivity": tpr,
        "specificity": tnr,
        "truePositiveRate": tpr,
        "trueNegativeRate": tnr,
    }


def _auc(ranked: list[tuple[bool, int]]) -> Fraction | None:
    positives = [b for positive, b in ranked if positive]
    negatives = [b for positive, b in ranked if not positive]
    won = sum(2 * (p > n) + (p == n) for p in positives for n in negatives)
    return _share(won, 2 * len(positives) * len(negatives))


def _calibration(scored: list[tuple[bool, int]]) -> Fraction | None:
    gaps = [Fraction(0)] * 10
    for correct, b in scored:
        gaps[min(b // 200, 9)] += int(correct) - Fraction(b, 2000)
    return _share(sum((abs(g) for g in gaps), Fraction(0)), len(scored))


def _regression(pairs: list[tuple[Fraction, Fraction]]) -> dict[str, float | Fraction | None]:
    n = len(pairs)
    squared = sum(((y - x) ** 2 for y, x in pairs), Fraction(0))
    mean = _share(sum((y for y, _ in pairs), Fraction(0)), n)
    spread = sum(((y - (mean or 0)) ** 2 for y, _ in pairs), Fraction(0))
    lost = _share(squared, spread)
    return {
        "rmse": None if n == 0 else math.sqrt(squared / n),
        "mae": _share(sum((abs(y - x) for y, x in pairs), Fraction(0)), n),
        "rSquared": None if lost is None else 1 - lost,
    }


def _two_classes(ever: list[Event]) -> bool:
    known = [e for e in ever if e.delay_s is not None]
    return len({c for e in known for c in (e.label, e.prediction)}) == 2


def _positive(model: Model, ever: list[Event]) -> str | None:
    known = [e for e in ever if e.delay_s is not None]
    greater = max((c for e in known for c in (e.label, e.prediction)), default=0)
    return model.positive or (CLASSES[greater] if _two_classes(ever) else None)


def _scored(
    model: Model, known: list[Event], ever: list[Event]
) -> dict[str, float | Fraction | None]:
    """Evaluate what needs a positive class or a score, on the labelled events of a window."""
    by_score, positive = model.positive_property is None, _positive(model, ever)
    found: dict[str, float | Fraction | None] = {}
    if positive is not None:
        cut = model.threshold * 2000
        chosen = [CLASSES[e.prediction] == positive if by_score else e.bin >= cut for e in known]
        found |= _binary(
            [(CLASSES[e.label] == positive, c) for e, c in zip(known, chosen, strict=True)]
        )
    if positive is not None or by_score:
        correct = [
            e.label == e.prediction if by_score else CLASSES[e.label] == positive for e in known
        ]
        found["calibrationError"] = _calibration(
            [(c, e.bin) for e, c in zip(known, correct, strict=True)]
        )
    if not by_score or _two_classes(ever):
        p = [probability(e, model) for e in known]
        found["logLoss"] = math.fsum(-math.log(x) for x in p) / len(p) if p else None
        found["brierScore"] = math.fsum((1 - x) ** 2 for x in p) / len(p) if p else None
        if positive is not None:
            forward = [not by_score or CLASSES[e.prediction] == positive for e in known]
            found["auc"] = _auc(
                [
                    (CLASSES[e.label] == positive, e.bin if f else 2000 - e.bin)
                    for e, f in zip(known, forward, strict=True)
                ]
            )
    return found


def _window(
    model: Model, basis: str, events: list[Event], ever: list[Event]
) -> dict[tuple[str, str | None], Row]:
    """Evaluate all metrics of one window; `ever`: all events of the model, for what exists."""
    known = [e for e in events if e.delay_s is not None]
    coverage = _share(len(known), len(events))
    rows: dict[tuple[str, str | None], Row] = {}

    def put(name: str, value: float | Fraction | None, n: int, group: str | None = None) -> None:
        rows[name, group] = (
            None if value is None else float(value),
            n,
            None if coverage is None else float(coverage),
        )

    put("count", len(events), len(events))
    if basis == "event":
        for number in range(max((len(e.values) for e in ever), default=0)):
            x = [e.values[number] for e in events if len(e.values) > number]
            name = f"(features.f{number})"
            put("avg" + name, _share(sum(x, Fraction(0)), len(x)), len(x))
            put("min" + name, min(x, default=None), len(x))
            put("max" + name, max(x, default=None), len(x))
    if any(e.delay_s is not None and e.numbers is not None for e in ever):
        numbers = [e.numbers for e in known if e.numbers is not None]
        for name, value in _regression(numbers).items():
            put(name, value, len(numbers))
    if not any(e.delay_s is not None for e in ever):
        return rows
    n = len(known)
    pairs = [(e.label, e.prediction) for e in known]
    for name in ("accuracy", "accuracyRateMulticlass"):
        put(name, _share(sum(y == x for y, x in pairs), n), n)
    present = sorted({c for pair in pairs for c in pair})
    per_class = {c: _one_class(pairs, c) for c in present}
    for name in _one_class([], 0):
        put(name, _mean([per_class[c][name] for c in present]), n)
        if name != "macroOvrAccuracy":
            for c in present:
                put(name, per_class[c][name], n, CLASSES[c])
    for name, value in _scored(model, known, ever).items():
        put(name, value, n)
    return rows


def _same(one: float | None, other: float | None, size: float = 0.0) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-14 * max(abs(one), size)


def evaluate(events: list[Event], watermark_s: int | None, last_s: int) -> dict[Key, Row]:
    expected: dict[Key, Row] = {}
    for number, model in enumerate(MODELS):
        mine = [e for e in events if e.model == number]
        step, lookback = model.step_s, model.lookback_s
        until = max((last_s // step + 1) * step, -(10**9) if watermark_s is None else watermark_s)
        for basis in ("event", "label"):
            timed = [(pane_of(t), e) for e in mine for b, t in bases(e) if b == basis]
            if not timed:
                continue
            before: dict[tuple[str, str | None], Row] = {}
            first = (min(t for t, _ in timed) // step) * step
            for end in range(first, until + 1, step):
                window = [e for t, e in timed if end - lookback <= t < end]
                now = _window(model, basis, window, mine)
                for name, group in sorted(now.keys() | before.keys(), key=str):
                    nothing = (0.0 if name == "count" else None, 0, None)
                    row, old = now.get((name, group), nothing), before.get((name, group), nothing)
                    size = 1.0 if name == "rSquared" else 0.0
                    if row[1:] != old[1:] or not _same(row[0], old[0], size):
                        expected[model.id, name, group, basis, end] = row
                before = now
    return expected
