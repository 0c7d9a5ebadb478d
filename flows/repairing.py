"""`bellwether repair`: says what is damaged in a data folder, and restores what was chosen.

::

    look: store, its log, published copy ──> report, nothing changed
      └─ --salvage        the store, its log up to the damage
      └─ --from-snapshot  a copy of the published copy
      └─ --rebuild        nothing: the next run reads the sources anew

Without a choice nothing is changed. What is replaced is renamed, never removed. The folder's lock
is held meanwhile.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.damage import PUBLISHED_NAME, STORE_NAME, wal_of
from connectors.folderlock import FolderLock
from connectors.inspecting import Found, look
from connectors.restoring import Restored, rebuild, restore, salvage, salvaged
from engine.errors import ConfigurationError, StoreError
from flows.repairtexts import changes_text, found_text, mails_text, sources_text

__all__ = ["repair"]

_DATA = "./data"
_SAYS = {
    "salvage": "keeps the store, and of its log what comes before the damage",
    "from_snapshot": "puts a copy of the published copy in the place of the store",
    "rebuild": "begins empty: the next run reads all sources from their beginning",
}
_ACTS = {"salvage": salvage, "from_snapshot": restore, "rebuild": rebuild}


@dataclass(frozen=True, slots=True)
class _Survey:
    """What was found in a folder: `kept` is the store with as much of its log as is good."""

    store: Found
    kept: Found | None
    published: Found | None

    @property
    def known(self) -> Found | None:
        """The damaged store, as far as it can be read."""
        best = self.kept if self.kept is not None and self.kept.readable else self.store
        return best if best.readable else None

    @property
    def choices(self) -> dict[str, Found | None]:
        """What can be done, the best first, with what it restores."""
        found: dict[str, Found | None] = {}
        if self.kept is not None and self.kept.fault is None:
            found["salvage"] = self.kept
        if self.published is not None and self.published.fault is None:
            found["from_snapshot"] = self.published
        return found | {"rebuild": None}


def repair(told: argparse.Namespace) -> int:
    """Do what the words of `repair` say; 0 when the folder is sound, or was mended; else 1.

    Raises
    ------
    BellwetherError
        What the user can mend: a folder in use, a choice that is not there, a full disk.
    """
    folder = Path(_folder(told))
    names = (STORE_NAME, wal_of(Path(STORE_NAME)).name, PUBLISHED_NAME)
    if not any((folder / name).exists() for name in names):
        msg = f"`--data` must be a data folder, got {folder}, which holds no {STORE_NAME}"
        raise ConfigurationError(msg)
    try:
        lock = FolderLock(folder)
        try:
            return _repaired(folder, _choice(told))
        finally:
            lock.release()
    except OSError as fault:
        msg = f"{folder} cannot be repaired: {fault.strerror or fault}"
        raise StoreError(msg) from fault


def _folder(told: argparse.Namespace) -> str:
    if told.data is not None:
        return str(told.data)
    if told.config is None:
        return _DATA
    from flows.settings import load  # noqa: PLC0415 - only where a file is named

    return load(told.config).data


def _choice(told: argparse.Namespace) -> str | None:
    return next((name for name in _ACTS if getattr(told, name)), None)


def _repaired(folder: Path, choice: str | None) -> int:
    survey = _surveyed(folder)
    _say(found_text(each) for each in (survey.store, survey.published) if each is not None)
    if survey.store.fault is None:
        return _sound(choice)
    if survey.store.newer:
        msg = f"{survey.store.path} must be opened by the Bellwether that has written it"
        raise StoreError(msg)
    if choice is None:
        _say(_offers(folder, survey))
        return 1
    if choice not in survey.choices:
        msg = f"`{_flag(choice)}` must be one of what can be done, got a folder where it cannot"
        raise ConfigurationError(msg)
    target = survey.choices[choice]
    done = _ACTS[choice](folder, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    _say(["", f"{_flag(choice)}: done"])
    _say(f"  kept aside: {each}" for each in done.aside)
    _say(["the next `bellwether run` goes on like this:"])
    _say(f"  {line}" for line in _outcome(target, survey.known, done))
    return 0


def _surveyed(folder: Path) -> _Survey:
    store = look(folder / STORE_NAME)
    published = look(folder / PUBLISHED_NAME) if (folder / PUBLISHED_NAME).exists() else None
    if store.fault is None or not store.log_only:
        return _Survey(store, None, published)
    with salvaged(folder) as kept:
        return _Survey(store, kept, published)


def _sound(choice: str | None) -> int:
    if choice is None:
        return 0
    msg = f"`{_flag(choice)}` must be for a damaged store, got a sound one: nothing was changed"
    raise ConfigurationError(msg)


def _offers(folder: Path, survey: _Survey) -> Iterator[str]:
    yield ""
    yield "nothing was changed; what can be done, the best first:"
    for choice, target in survey.choices.items():
        yield f"  bellwether repair --data {folder} {_flag(choice)}"
        yield f"      {_SAYS[choice]}"
        lines = _outcome(target, survey.known, None)
        yield from (f"      {line}" for line in lines)


def _outcome(target: Found | None, known: Found | None, done: Restored | None) -> Iterator[str]:
    """Say what a choice restores and what not, before or after it was made."""
    yield from sources_text(target, known)
    yield from changes_text(target, known)
    carried = done.carried if done is not None else None
    if done is not None or known is None or not target or target.path.name != PUBLISHED_NAME:
        yield mails_text(target, carried)
    else:
        yield mails_text(target, max(known.mails - target.mails, 0))


def _flag(choice: str) -> str:
    return "--" + choice.replace("_", "-")


def _say(lines: Iterator[str] | list[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
