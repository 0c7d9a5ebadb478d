"""Late labels that stand alone: one vote on a prediction that nothing else has to do with.

Nearly all late labels are of this kind, and what settling does with them is simple: the vote is the
outcome, if it lies within the label horizon. A dozen statements of the pairing, 40 ms a block, are
a few array operations here, with the same rows as their result. The rules are those of
`engine.consensus`.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Array, Flags, Ints, flags, validity, whole
from engine.seen import Keys, keys_of

__all__ = ["Alone", "alone"]

_CHANGED = (
    *("weight", "seq", "model_id", "event_time", "prediction", "prediction_number", "score"),
    *("positive_score", "label", "label_number", "label_time"),
)
_VOTED = (
    *("seq", "key", "model_id", "event_id", "voter", "property"),
    *("label", "label_number", "vote_time"),
)


@dataclass(frozen=True, slots=True)
class Alone:
    """Predictions and the one vote that each of them has, by line of the prediction.

    Attributes
    ----------
    events : pyarrow.Table, shape (n,)
        The columns of `t_old` (`engine.pairing`).
    votes : pyarrow.Table, shape (n,)
        The columns of `votes_log`.
    new : bool, shape (n,)
        Whether the prediction is of the same block as its vote.
    chosen : bool, shape (votes of the block,)
        Which votes these are.
    """

    events: pa.Table
    votes: pa.Table
    new: Flags
    chosen: Flags

    def __len__(self) -> int:
        """Return the number of votes."""
        return len(self.votes)

    @property
    def won(self) -> pa.Table:
        """The predictions of the block among them: `seq`."""
        return self.events.select(["seq"]).filter(pa.array(self.new))

    def stored(self) -> pa.Table:
        """Give the votes as `votes_log` has them, by line."""
        return self.votes.select(_VOTED).sort_by("seq")

    def decided(
        self, horizon_us: int, administrators: Array
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Give what `outcomes` gets, without numbers, and the rows of `t_effective`, `t_changes`.

        Parameters
        ----------
        horizon_us : int
            The label horizon, µs.
        administrators : pyarrow string array
            Whose votes override.
        """
        voted, happened = _micros(self.votes["vote_time"]), _micros(self.events["event_time"])
        held: Flags = np.abs(voted - happened) <= horizon_us
        told = self.votes.filter(pa.array(held))
        overriding = pc.is_in(whole(told["voter"]), value_set=administrators)
        outcomes = pa.table(
            {
                "event_seq": whole(self.events["seq"]).filter(pa.array(held)),
                "property": told["property"],
                "label": told["label"],
                "label_number": told["label_number"],
                "label_time": told["vote_time"],
                "label_source": pc.if_else(overriding, "administrator", "votes"),
            }
        )
        return outcomes, *self._effective(held, outcomes)

    def _effective(self, held: Flags, outcomes: pa.Table) -> tuple[pa.Table, pa.Table]:
        events, took = self.events, pa.array(np.cumsum(held) - 1, mask=~held)
        own = {
            "label": whole(events["label"]),
            "label_number": whole(events["label_number"]),
            "label_time": whole(events["event_time"]),
            "label_source": pc.if_else(whole(events["label"]).is_valid(), "prediction", None),
        }
        now = {
            name: pc.if_else(pa.array(held), whole(outcomes[name]).take(took), otherwise)
            for name, otherwise in own.items()
        }
        kept = events.drop_columns(["key", "event_id", "label", "label_number"])
        before, after = _weighted(kept, -1, own), _weighted(kept, 1, now)
        differs = ~(_same(own["label"], now["label"]) & _same(own["label_time"], now["label_time"]))
        differs |= ~_same(own["label_number"], now["label_number"])
        back = differs & ~self.new & validity(own["label"])
        added = (differs | self.new) & validity(now["label"])
        return (
            pa.concat_tables([before.filter(pa.array(~self.new)), after]),
            pa.concat_tables([before.filter(pa.array(back)), after.filter(pa.array(added))]).select(
                _CHANGED
            ),
        )


def alone(stored: pa.Table, own: pa.Table, touched: Flags, votes: pa.Table) -> Alone:
    """Find the votes of a block that stand alone.

    Parameters
    ----------
    stored, own : pyarrow.Table
        Stored predictions, and those of the block, that have a key of the votes, by line: the
        columns of `t_old`.
    touched : bool, shape (stored and own,)
        Which of them have met a vote, or another prediction of their id, before the block.
    votes : pyarrow.Table
        The votes of the block, columns of `votes_log`.
    """
    events = pa.concat_tables([stored, own])
    voted, nth_vote = _once(keys_of(votes))
    there, nth_event = _once(keys_of(events))
    _, vote, event = np.intersect1d(voted, there, assume_unique=True, return_indices=True)
    vote, event = nth_vote[vote], nth_event[event]
    fine = ~touched[event]
    fine &= flags(pc.is_in(whole(votes["property"]), value_set=pa.array([""])))[vote]
    for name in ("model_id", "event_id"):
        asked, found = (
            whole(table[name]).take(pa.array(rows))
            for table, rows in ((votes, vote), (events, event))
        )
        fine &= flags(pc.equal(asked, found))
    vote, event = vote[fine], event[fine]
    order, new = np.argsort(event), np.sort(event) >= len(stored)
    chosen = np.zeros(len(votes), np.bool_)
    chosen[vote] = True
    some, nth = pa.array(event[order], pa.int64()), pa.array(vote[order], pa.int64())
    return Alone(events.take(some), votes.select(_VOTED).take(nth), new, chosen)


def _once(keys: Keys) -> tuple[Keys, Ints]:
    """Give the keys that stand there once, ascending, and where."""
    found, first, count = np.unique(keys, return_index=True, return_counts=True)
    return found[count == 1], first[count == 1]


def _weighted(rows: pa.Table, weight: int, told: dict[str, Array]) -> pa.Table:
    found = rows.append_column("weight", pa.array(np.full(len(rows), weight, np.int32)))
    for name, column in told.items():
        found = found.append_column(name, column)
    return found


def _same(one: Array, other: Array) -> Flags:
    """Tell where two columns have one value, or both none."""
    equal: Array = pc.equal(one, other)
    return (~validity(one) & ~validity(other)) | flags(equal.fill_null(fill_value=False))


def _micros(column: Array) -> Ints:
    return np.asarray(column.cast(pa.int64()))
