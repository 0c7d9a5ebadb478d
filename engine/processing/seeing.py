"""What of the catalogues there is for somebody who may see some models or jobs only.

A choice that names a model or a job is there for who may see these. The catalogues of processing
tell of job types, strikes and errors, which are nobody's; every other catalogue whose choices name
neither model nor job is not there at all, for nobody can say whose values are in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from engine.processing.builtin import BUILTIN
from engine.processing.catalogue_offer import Offer

__all__ = ["Seeing", "seeing_of"]

_OF_HIDDEN = """
    SELECT DISTINCT job_id FROM anomaly_jobs_known
    WHERE model_id IS NOT NULL AND model_id NOT IN (SELECT unnest($models::VARCHAR[]))"""


@dataclass(frozen=True, slots=True)
class Seeing:
    """What somebody may see.

    Attributes
    ----------
    models, jobs : frozenset of str or None
        All of them; None: every one.
    hidden_jobs : frozenset of str
        Jobs of models that are not among them.
    """

    models: frozenset[str] | None
    jobs: frozenset[str] | None
    hidden_jobs: frozenset[str] = frozenset()

    def offers(self, offer: Offer) -> bool:
        """Tell whether there is a catalogue."""
        if self.models is None and self.jobs is None:
            return True
        return offer.catalogue.name in BUILTIN or self._tells(offer)

    def narrows(self, offer: Offer) -> bool:
        """Tell whether there may be choices of a catalogue that are hidden."""
        return (self.models is not None or self.jobs is not None) and self._tells(offer)

    def sees(self, choice: Mapping[str, str | None]) -> bool:
        """Tell whether there is a choice, by its fields."""
        if "model_id" in choice and not _within(choice["model_id"], self.models):
            return False
        if "job_id" not in choice:
            return True
        job = choice["job_id"]
        return _within(job, self.jobs) and job not in self.hidden_jobs

    def _tells(self, offer: Offer) -> bool:
        return bool({"model_id", "job_id"} & set(offer.source.fields))


def seeing_of(
    cursor: duckdb.DuckDBPyConnection, models: frozenset[str] | None, jobs: frozenset[str] | None
) -> Seeing | None:
    """Give what somebody may see; None: everything.

    Parameters
    ----------
    models, jobs : frozenset of str or None
        All that there are for somebody; None: every one.
    """
    if models is None and jobs is None:
        return None
    if models is None:
        return Seeing(models, jobs)
    rows = cursor.execute(_OF_HIDDEN, {"models": sorted(models)}).fetchall()
    return Seeing(models, jobs, frozenset(job for (job,) in rows))


def _within(name: str | None, seen: frozenset[str] | None) -> bool:
    return seen is None or name in seen
