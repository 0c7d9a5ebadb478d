"""`bellwether run`: the dataflow from start to end of input, with progress and summary."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from bytewax.run import cli_main

from connectors.partition import Partition
from engine.config import Settings
from engine.errors import EndingError
from engine.watermark import NEVER
from flows.monitor import flow_of
from flows.opening import Opening, prepare_process
from flows.progress import Progress
from flows.session import Session

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run", "run_session"]

_LIMIT_NAMES = {
    "models": "more models than `limits.models`",
    "classes": "more classes of a model than `limits.classes`",
    "series": "more properties than `limits.series`",
}


def run(
    settings: Settings,
    partitions: Sequence[Partition] | None = None,
    mails_to: TextIO | None = None,
    stop: threading.Event | None = None,
    opening: Opening | None = None,
) -> int:
    """Run until the input ends or `stop` is set; 0 when everything read was committed.

    Parameters
    ----------
    settings : Settings
    partitions : sequence of Partition, optional
        Inputs made elsewhere, in place of the declared sources.
    mails_to : TextIO, optional
        Where mails are printed, in place of being sent.
    stop : threading.Event, optional
        Ends the input: the batch at hand is finished and committed.
    opening : Opening, optional
        Of the data folder, where it was begun beforehand; broken off by `stop`, too.

    Raises
    ------
    BellwetherError
        What the user can mend: configuration, inputs, data folder.
    Exception
        A fault of ours, as it was raised in a step.
    """
    session = Session(settings, partitions, mails_to, stop, opening=opening)
    return run_session(session, nullcontext)


def run_session(session: Session, beside: Callable[[], AbstractContextManager[object]]) -> int:
    """Run a session that is not open yet; what is `beside` it is there while the dataflow runs.

    Raises
    ------
    BellwetherError, Exception
        See `run`; what `beside` raises.
    """
    prepare_process()
    try:
        session.open()
    except EndingError as ended:
        _say(f"{ended}: nothing was read")
        return 0
    try:
        _tell_recount(session)
        for note in session.gate.notes():
            _say(note)
        progress = Progress(
            _terminal(), _bytes(session), live=_live(session), started_s=time.time()
        )
        session.on_commit = lambda: _draw(progress, session)
        with beside():
            cli_main(flow_of(session), workers_per_process=1)  # type: ignore[no-untyped-call]
        if session.failure is not None:
            raise session.failure
        _say(_summary(progress, session))
        for limit in sorted(session.monitor.limits_reached):
            _say(f"note: {_LIMIT_NAMES[limit]}; the rest is counted as __other__")
    finally:
        session.close()
    return 0


def _terminal() -> "Console | None":
    if not sys.stderr.isatty():
        return None
    from rich.console import Console  # noqa: PLC0415 - a tenth of a start

    return Console(stderr=True)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _tell_recount(session: Session) -> None:
    if session.recounted:
        _say("note: settings that stored results depend on have changed; all was counted anew")


def _live(session: Session) -> bool:
    return any(not partition.bounded for partition in session.ahead.partitions)


def _bytes(session: Session) -> int | None:
    sizes = [partition.size for partition in session.ahead.partitions]
    if _live(session):
        return None
    return sum(size for size in sizes if size is not None) or None


def _alerts(session: Session) -> int | None:
    """Count the alerts; None where no rule could give any."""
    settings = session.settings
    rules = (*settings.alert_rules, *settings.anomaly_rules, *settings.step_rules)
    watched = rules or any(each.reference for each in settings.models)
    return session.counts.alerts if watched else None


def _draw(progress: Progress, session: Session) -> None:
    counts, newest = session.counts, session.monitor.last_event_us
    progress.update(
        lines=counts.lines,
        events=counts.events,
        votes=counts.votes,
        rejects=counts.rejects,
        alerts=_alerts(session),
        newest_us=None if newest == NEVER else newest,
        consumed_bytes=sum(partition.consumed for partition in session.ahead.partitions),
        now_s=time.time(),
    )


def _summary(progress: Progress, session: Session) -> str:
    counts, mark = session.counts, session.monitor.watermark_us
    return progress.finish(
        lines=counts.lines,
        events=counts.events,
        votes=counts.votes,
        rejects=counts.rejects,
        repeats=counts.repeats,
        alerts=_alerts(session),
        unsent=session.mailing.unsent,
        watermark=None if mark == NEVER else _instant(mark),
        data=session.settings.data,
        now_s=time.time() - session.mailing.waited_s,  # the stream was not waiting
    )


def _instant(time_us: int) -> str:
    moment = datetime.fromtimestamp(time_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"
