"""The settings that stored outcomes and panes depend on, and what follows when they change."""

import json
import math
from collections.abc import Callable

from connectors.store import Store
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.kept import has_bare_events, make_stored

__all__ = ["agree", "pane_seconds"]

_PUBLIC_PANE_S = 60


def pane_seconds(settings: Settings) -> int:
    """Give the seconds a stored pane: every lookback, step and public pane is a multiple."""
    spans = [_PUBLIC_PANE_S, settings.time.lookback_s, settings.time.step_s]
    for model in settings.models:
        spans += [span for span in (model.lookback_s, model.step_s) if span]
    return math.gcd(*spans)


def agree(store: Store, settings: Settings, pane_s: int, recount: Callable[[], None]) -> bool:
    """Bring what is stored into line with the settings that it depends on.

    Returns
    -------
    bool
        Whether `recount` was called.

    Raises
    ------
    ConfigurationError
        It would have to be, and what it needs was dropped.
    """
    told, stored = _deciding(settings, pane_s), store.setting("deciding")
    changed = stored is not None and stored != told
    if stored is not None and changed:
        _check_recount(store, stored, told)
        recount()
    if settings.keep_events == "none" and store.setting("events_bare") is None:
        store.remember("events_bare", "true")
        make_stored(store.cursor)
    store.remember("deciding", told)
    store.remember("pane_s", str(pane_s))
    store.remember("label_horizon_us", str(settings.time.label_horizon_us))
    return changed


def _check_recount(store: Store, stored: str, told: str) -> None:
    """Refuse a change that would count anew from what is not stored any more, or never was."""
    if store.setting("events_dropped") is not None:
        why = "once retention has dropped events"
    elif has_bare_events(store.cursor):
        why = "once events were stored without properties (keep_events: none)"
    else:
        return
    before, now = json.loads(stored), json.loads(told)
    changed = ", ".join(name for name in now if now[name] != before.get(name))
    msg = (
        f"{changed} must stay as before {why}, since results are"
        " counted anew from the stored events when it changes; use another data folder"
    )
    raise ConfigurationError(msg)


def _deciding(settings: Settings, pane_s: int) -> str:
    """Give, as text, the settings that stored outcomes and panes depend on."""
    models = sorted(
        (
            m.id,
            m.job,
            m.classes,
            m.positive,
            m.positive_property,
            m.threshold,
            m.lookback_s,
            m.step_s,
        )
        for m in settings.models
    )
    return json.dumps(
        {
            "pane_s": pane_s,
            "lookback_s": settings.time.lookback_s,
            "step_s": settings.time.step_s,
            "label_horizon_us": settings.time.label_horizon_us,
            "administrators": sorted(settings.administrators),
            "models": models,
            "limits": [settings.limits.models, settings.limits.series, settings.limits.classes],
        }
    )
