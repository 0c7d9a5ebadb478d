"""Buckets for models of detectors, written as names with values, and runs of models over them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.anomaly.values import Judgement, Keys, Model, Values

HOUR_S, DAY_S = 3_600, 86_400

Numbers = npt.NDArray[np.float64]
Name = tuple[str | None, str | None, str | None]
Rows = Mapping[Name, tuple[float, int]]
"""Value and rows of series, by their by, over and partition names."""


def _keys(names: list[Name]) -> Keys:
    columns = np.empty((3, len(names)), np.object_)
    for place, name in enumerate(names):
        columns[:, place] = name
    return Keys(*columns)


@dataclass
class Registry:
    """Numbers of series: new names of a bucket in text order."""

    number: dict[Name, int] = field(default_factory=dict)

    def values(
        self, start_s: int, rows: Rows, *, span_s: int = HOUR_S, gap: bool = False
    ) -> Values:
        """Give a bucket, its names registered."""
        new = sorted(rows.keys() - self.number.keys(), key=str)
        self.number |= {name: len(self.number) + place for place, name in enumerate(new)}
        ordered = sorted(rows, key=self.number.__getitem__)
        return Values(
            start_s,
            span_s,
            _keys(list(self.number)),
            np.array([self.number[name] for name in ordered], np.int64),
            np.array([rows[name][0] for name in ordered], np.float64),
            np.array([rows[name][1] for name in ordered], np.int64),
            gap,
        )


def step(model: Model, values: Values) -> Judgement:
    """Judge a bucket and learn all of it."""
    judgement = model.judge(values)
    model.learn(values, judgement, np.ones(len(judgement.series), np.bool_))
    return judgement


def run(
    model: Model, buckets: Iterable[Rows], *, span_s: int = HOUR_S, first: int = 0
) -> list[Judgement]:
    """Run a model over buckets, one after the other, from the first's place in time on."""
    registry = Registry()
    return [
        step(model, registry.values((first + at) * span_s, rows, span_s=span_s))
        for at, rows in enumerate(buckets)
    ]


def ratio_below(judgements: Iterable[Judgement], p: float) -> float:
    """Give P(a record's probability <= p) / p: 1 where probabilities mean what they say."""
    ln_p = np.concatenate([each.ln_p for each in judgements])
    return float((ln_p <= np.log(p)).mean() / p)


def crowd(values: Numbers, start_s: int, *, span_s: int = HOUR_S) -> Values:
    """Give a bucket of one population, its entities numbered; NaN is no rows."""
    nobody = np.full(len(values), None, np.object_)
    entities = np.array([f"e{number}" for number in range(len(values))], np.object_)
    there = np.flatnonzero(~np.isnan(values))
    ones = np.ones(len(there), np.int64)
    return Values(start_s, span_s, Keys(nobody, entities, nobody), there, values[there], ones)


def run_crowd(
    model: Model, draw: Callable[[int], Numbers], buckets: int, *, span_s: int = HOUR_S
) -> list[Judgement]:
    """Run a model over buckets of one population."""
    return [step(model, crowd(draw(at), at * span_s, span_s=span_s)) for at in range(buckets)]
