"""Changes made while a run goes on: what is edited, in which words, and the log of them.

A definition has the form of its entry in the configuration file, as JSON, so that one reader checks
both. An edit stands for the whole entry: of several with one kind and id the last one holds, over
what the file says; None takes the entry away. Edits and whatever else a piece of work writes are in
one transaction; they hold from the watermark at that moment on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import duckdb

from engine.config import Settings

__all__ = ["KINDS", "Configured", "Definition", "Edit", "Writing"]

KINDS = ("metric", "alert_rule", "anomaly_job", "notification", "user")
"""What can be edited; the ids are metric_id, rule_id, job_id, configuration_id and username."""

Definition = Mapping[str, Any]
"""An entry of the configuration, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What holds for one entry from now on; `definition` None: nothing does."""

    kind: str
    id: str
    definition: Definition | None


class Configured(Protocol):
    """What is in force: the file, with the edits over it."""

    @property
    def settings(self) -> Settings:
        """The same, as the engine takes it."""
        ...

    def definition(self, kind: str, entry_id: str) -> dict[str, Any] | None:
        """Give an entry as the configuration would have it, the default values left out."""
        ...

    def declared(self, kind: str, entry_id: str) -> bool:
        """Tell whether the file has an entry, whatever edits say of it."""
        ...

    def made_here(self, kind: str, entry_id: str) -> bool:
        """Tell whether an edit, not the file, says what holds for an entry."""
        ...


class Writing(Protocol):
    """What a piece of work is given, on the thread of the one writer, in its transaction.

    Whatever it raises undoes all of it, and goes to whoever asked.
    """

    @property
    def cursor(self) -> duckdb.DuckDBPyConnection:
        """The writer's, inside the transaction; not to be committed."""
        ...

    @property
    def configured(self) -> Configured:
        """What is in force, with the edits of this piece of work so far."""
        ...

    @property
    def by(self) -> str:
        """The user who asked."""
        ...

    @property
    def now_us(self) -> int:
        """The wall clock, µs."""
        ...

    @property
    def watermark_us(self) -> int | None:
        """From when on, in event time, what is edited holds."""
        ...

    def edit(self, edit: Edit) -> None:
        """Check one edit against all that is in force, and let it hold.

        Raises
        ------
        QueryError
            The definition breaks a rule, or something else still needs what it takes away.
        """
        ...
