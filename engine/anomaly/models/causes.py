"""The causes of an unusual entity of a population: its by values, the most unusual first.

A record of a detector with over and by fields is of one entity and one by value; its causes are
all by values of the entity that are unusual in the bucket (contracts.md ELi-07: at most 10).
"""

import numpy as np
import numpy.typing as npt

from engine.anomaly.values import Judgement, Keys

__all__ = ["MOST_CAUSES", "causes_of"]

Codes = npt.NDArray[np.int64]

MOST_CAUSES = 10
_LN_UNUSUAL = float(np.log(0.05))


def causes_of(
    keys: Keys, judgement: Judgement, places: Codes, most: int = MOST_CAUSES
) -> list[Codes]:
    """Give the causes of records.

    Parameters
    ----------
    keys : Keys
        Of all series.
    judgement : Judgement
        Of a model of a detector with an over field.
    places : int64, shape (k,)
        Places of the records in the judgement.
    most : int
        Causes a record has at most.

    Returns
    -------
    list of int64, shape (up to `most`,), length k
        Places in the judgement, of the same entity and partition, by rising ln p, then by series:
        those with p below .05, and the record itself where that leaves none. What a cause tells
        (names, actual, typical, probability) is read there.
    """
    unusual = np.flatnonzero(judgement.ln_p < _LN_UNUSUAL)
    order = unusual[np.lexsort((judgement.series[unusual], judgement.ln_p[unusual]))]
    found: dict[tuple[str | None, str | None], list[int]] = {}
    for place, series in zip(order.tolist(), judgement.series[order].tolist(), strict=True):
        found.setdefault((keys.over[series], keys.partition[series]), []).append(place)
    records = zip(places.tolist(), judgement.series[places].tolist(), strict=True)
    return [
        np.array(found.get((keys.over[series], keys.partition[series]), [place])[:most], np.int64)
        for place, series in records
    ]
