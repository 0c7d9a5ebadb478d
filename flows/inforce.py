"""What is in force: the entries of the file, with the edits over them, each found by its id.

`InForce` never changes; an edit gives another one, or an error. It is `engine.changes.Configured`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from engine.changes import KINDS, Edit
from engine.config import Settings, UserSettings
from engine.errors import ConfigurationError, ConflictError, NotFoundError, QueryError
from engine.rules.definition import named_rules
from flows.definitions import definition_of
from flows.dependents import Entries, check_needed
from flows.entries import Known, id_of, read_entry
from flows.yamlnodes import quoted

__all__ = ["InForce", "in_force"]

_SECTIONS = {
    "user": "users",
    "metric": "metrics",
    "anomaly_job": "anomaly_jobs",
    "alert_rule": "alert_rules",
    "notification": "notifications",
}
"""The field of `Settings` by kind; each kind behind those that it names."""

Key = tuple[str, str]


@dataclass(frozen=True)
class InForce:
    """A state of the configuration.

    Attributes
    ----------
    file : Settings
        Without edits.
    of_file : mapping
        Its entries, by kind and id.
    entries : mapping
        All that are in force.
    edited : frozenset of (str, str)
        Kinds and ids that an edit speaks of.
    known : Known
    """

    file: Settings
    of_file: Entries
    entries: Entries
    known: Known
    edited: frozenset[Key] = field(default_factory=frozenset)

    @classmethod
    def of(cls, file: Settings) -> "InForce":
        """Give the state without any edit."""
        file = replace(file, alert_rules=tuple(named_rules(file.alert_rules)))
        entries = {
            kind: {id_of(kind, entry): entry for entry in getattr(file, section)}
            for kind, section in _SECTIONS.items()
        }
        return cls(file, entries, entries, _known(file, entries))

    @cached_property
    def settings(self) -> Settings:
        """Give all of it as the engine takes it.

        Who the administrators are whose labels override those of others is what the file says, for
        good: stored votes are counted by it.
        """
        found = {section: tuple(self.entries[kind].values()) for kind, section in _SECTIONS.items()}
        told: dict[str, Any] = found
        return replace(self.file, **told)

    def definition(self, kind: str, entry_id: str) -> dict[str, Any] | None:
        """See `engine.changes.Configured.definition`."""
        entry = self.entries[kind].get(entry_id)
        return None if entry is None else definition_of(kind, entry, self.file)

    def declared(self, kind: str, entry_id: str) -> bool:
        """See `engine.changes.Configured.declared`."""
        return entry_id in self.of_file[kind]

    def made_here(self, kind: str, entry_id: str) -> bool:
        """See `engine.changes.Configured.made_here`."""
        return (kind, entry_id) in self.edited

    def apply(self, edit: Edit) -> "InForce":
        """Give the state with one more edit.

        Raises
        ------
        NotFoundError
            It takes away what there is not.
        ConflictError
            Something else needs the entry as it was.
        QueryError
            The definition breaks a rule.
        """
        if edit.kind not in KINDS:
            msg = f"`kind` must be one of {', '.join(KINDS)}, got {edit.kind}"
            raise QueryError(msg)
        before = self.entries[edit.kind].get(edit.id)
        if edit.definition is None and before is None:
            what = edit.kind.replace("_", " ")
            msg = f"the {what} must be one that there is, got {quoted(edit.id)}"
            raise NotFoundError(msg)
        after = None if edit.definition is None else self.read(edit, self.known, self.entries)
        own = dict(self.entries[edit.kind])
        if after is None:
            del own[edit.id]
        else:
            own[edit.id] = after
        entries = {**self.entries, edit.kind: own}
        known = self.known
        if edit.kind in {"metric", "user"}:
            known = _known(self.file, entries)
        check_needed(entries, known, edit.kind, (before, after))
        return replace(
            self, entries=entries, known=known, edited=self.edited | {(edit.kind, edit.id)}
        )

    def read(self, edit: Edit, known: Known, entries: Entries) -> Any:
        """Read the definition of an edit, which must be one of that id.

        Raises
        ------
        QueryError
            It breaks a rule.
        """
        entry = read_entry(edit.kind, edit.definition, known)
        if edit.kind == "alert_rule" and entry.rule_id is None and self._needs_id(edit.id, entry):
            entry = replace(entry, rule_id=edit.id)
        found = id_of(edit.kind, entry)
        if found != edit.id:
            what = edit.kind.replace("_", " ")
            msg = f"the {what} must have the id {edit.id}, got one that has {found}"
            raise ConflictError(msg)
        if edit.kind == "user":
            self._check_keys(entry, entries)
        return entry

    def _needs_id(self, entry_id: str, entry: Any) -> bool:
        """Tell whether a rule must say its id: the name is not the one it follows from."""
        declared = self.of_file["alert_rule"].get(entry_id)
        follows = declared is not None and declared.rule_id is None
        return not follows or id_of("alert_rule", entry) != entry_id

    def _check_keys(self, user: UserSettings, entries: Entries) -> None:
        declared = self.of_file["user"].get(user.username)
        variable = None if declared is None else declared.api_key_env
        if user.api_key_env is not None and user.api_key_env != variable:
            # It would not be looked at before the next start.
            msg = "api_key_env must be left out, or as in the file, got another one"
            raise QueryError(msg)
        for other in entries["user"].values():
            same = user.api_key_sha256 is not None and user.api_key_sha256 == other.api_key_sha256
            if same and other.username != user.username:
                msg = "api_key_sha256 must be of a key that nobody else has, got one that is taken"
                raise ConflictError(msg)


def _known(file: Settings, entries: Entries) -> Known:
    metrics: dict[str, dict[str, Any]] = {}
    for each in entries["metric"].values():
        metrics.setdefault(each.model, {})[each.name] = each
    return Known(file, {model.id: model for model in file.models}, metrics, entries["user"])


# ---- at a start ------------------------------------------------------------------------------


def in_force(file: Settings, edits: Iterable[Edit]) -> tuple[InForce, dict[Key, str]]:
    """Put stored edits, the last one of each id, over a file that may have changed since.

    Returns
    -------
    InForce
    dict of (str, str) to str
        Why edits are left out, by kind and id: they no longer fit the file.
    """
    stored = {(edit.kind, edit.id): edit for edit in edits}
    left_out: dict[Key, str] = {}
    while True:
        kept = {key: edit for key, edit in stored.items() if key not in left_out}
        found, faults = _put(InForce.of(file), kept)
        left_out |= faults
        faults = _unfit(found)
        if not faults:
            return found, left_out
        left_out |= faults


def _put(base: InForce, edits: Mapping[Key, Edit]) -> tuple[InForce, dict[Key, str]]:
    entries = {kind: dict(own) for kind, own in base.entries.items()}
    faults: dict[Key, str] = {}
    known = base.known
    for kind in _SECTIONS:
        for key, edit in edits.items():
            if key[0] != kind:
                continue
            try:
                if edit.definition is None:
                    entries[kind].pop(edit.id, None)
                else:
                    entries[kind][edit.id] = base.read(edit, known, entries)
            except (QueryError, ConfigurationError) as error:
                faults[key] = str(error)
        known = _known(base.file, entries)
    edited = frozenset(key for key in edits if key not in faults)
    return replace(base, entries=entries, known=known, edited=edited), faults


def _unfit(found: InForce) -> dict[Key, str]:
    """Find the edits that take away, or change, what entries of the file need."""
    faults = {}
    for kind, entry_id in sorted(found.edited):
        before = found.of_file[kind].get(entry_id)
        after = found.entries[kind].get(entry_id)
        if before is None or before == after:
            continue
        try:
            check_needed(found.entries, found.known, kind, (before, after))
        except ConflictError as error:
            faults[kind, entry_id] = str(error)
    return faults
