"""Composes the mail that tells a group of alerts: who, what, when, and what to do next.

Whatever a name holds, no header and no line of the text can be forged by it: control characters,
line ends and marks that turn the direction of writing become spaces. The same group gives the same
mail, byte for byte, in every attempt.
"""

import re
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Any

from engine.notifications import Group, MailedAlert

__all__ = ["ascii_domain", "compose", "domain_of", "one_line"]

_NAME_CHARACTERS_MAX = 80
_TEXT_CHARACTERS_MAX = 2_000
# Bidirectional embeddings, overrides and isolates (Unicode Annex 9): they can disguise a text.
_TURNS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ENDS = frozenset({"Cc", "Cs", "Zl", "Zp"})
# One mailbox without quotes, comments or a list: what smtplib puts into the envelope as it is.
_ADDRESS = re.compile(r"[^\s@\"\\(),:;<>\[\]]{1,64}@[^\s@\"\\(),;<>]{1,255}")


def compose(sender: str, group: Group) -> EmailMessage:
    """Write the mail of a group.

    Parameters
    ----------
    sender : str
        Address, with or without a name: ``Bellwether <bellwether@example.org>``.
    group : Group
        With at least one alert.

    Raises
    ------
    ValueError
        Sender or destination is no single address.
    """
    name, address = parseaddr(sender)
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = _subject(group.alerts)
    address = _checked("from", address)
    message["From"] = f"{one_line(name)} <{address}>" if one_line(name) else address
    message["To"] = _checked("destination", group.destination)
    message["Date"] = format_datetime(group.grouped_time.replace(tzinfo=UTC))
    message["Message-ID"] = group.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no replies by machines
    # Quoted-printable is safe for every server: 7 bits, short lines, and readable as it is.
    message.set_content(_body(group), cte="quoted-printable")
    return message


def ascii_domain(address: str) -> str:
    """Give the address with its domain in ASCII (IDNA), so that most need no SMTPUTF8.

    >>> ascii_domain("ana@bücher.example")
    'ana@xn--bcher-kva.example'
    """
    local, at, domain = address.rpartition("@")
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return address


def domain_of(sender: str) -> str:
    """Give the domain of a sender, for Message-IDs.

    >>> domain_of("Bellwether <bellwether@example.org>")
    'example.org'
    """
    _, address = parseaddr(sender)
    domain = ascii_domain(address).partition("@")[2]
    return domain if re.fullmatch(r"[A-Za-z0-9.-]+", domain) else "bellwether"


def one_line(value: str, most: int = _NAME_CHARACTERS_MAX) -> str:
    r"""Give a text as one line without control characters, cut to `most` characters.

    >>> one_line("accuracy\r\nBcc: all@example.org")
    'accuracy Bcc: all@example.org'
    """
    kept = "".join(" " if _is_unfit(each) else each for each in value)
    # What looks like an encoded word (RFC 2047) would be read as one.
    line = " ".join(kept.split()).replace("=?", "= ?")
    return line if len(line) <= most else line[: most - 1] + "…"


class _Policy(EmailPolicy):
    """Writes headers by the older rules of `email.header`.

    The newer ones of the standard library lose blanks between encoded words, and fail with a
    TypeError on some names, in Python 3.11. Every value here is one clean line already.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return name, value

    def header_fetch_parse(self, name: str, value: Any) -> Any:  # noqa: ARG002 - the base's words
        return value

    def fold(self, name: str, value: str) -> str:
        if name == "Subject":
            value = _encoded(value, name, self.linesep)
        elif name == "From" and " <" in value:
            display, _, address = value.rpartition(" <")
            value = f"{_phrase(display, self.linesep)} <{address}"
        return f"{name}: {value}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode()


_POLICY = _Policy(linesep="\r\n")


def _encoded(value: str, header: str, linesep: str) -> str:
    """Give a text as encoded words (RFC 2047) where ASCII is not enough, folded."""
    charset = "us-ascii" if value.isascii() else "utf-8"
    return Header(value, charset, header_name=header).encode(linesep=linesep)


def _phrase(display: str, linesep: str) -> str:
    if not display.isascii():
        return _encoded(display, "From", linesep)
    return '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_unfit(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in _ENDS


def _checked(field: str, address: str) -> str:
    address = ascii_domain(address)
    if address != one_line(address, 320) or not _ADDRESS.fullmatch(address):
        msg = f'`{field}` must be an address like ana@example.org, got "{one_line(address)}"'
        raise ValueError(msg)
    return address


def _subject(alerts: tuple[MailedAlert, ...]) -> str:
    if len(alerts) == 1:
        return _headline(alerts[0])
    models = {alert.model_id for alert in alerts}
    of = one_line(min(models)) if len(models) == 1 else f"{len(models)} models"
    return f"{len(alerts)} alerts of {of}, {_criticals(alerts)}"


def _criticals(alerts: tuple[MailedAlert, ...]) -> str:
    return f"{Counter(alert.severity for alert in alerts)['critical'] or 'none'} critical"


def _headline(alert: MailedAlert) -> str:
    value = f" ({one_line(alert.group_value)})" if alert.group_value else ""
    severity = one_line(alert.severity)
    return f"[{severity}] {one_line(alert.rule_name)}{value}: {one_line(alert.model_id)}"


def _body(group: Group) -> str:
    alerts = group.alerts
    parts = [f"{_subject(alerts)}."] if len(alerts) > 1 else []
    for place, alert in enumerate(alerts, start=1):
        head = f"{place}. " if len(alerts) > 1 else ""
        lines = [head + _headline(alert), "", *(f"    {line}".rstrip() for line in _lines(alert))]
        parts.append("\n".join(lines))
    query = f"SELECT * FROM alerts WHERE alert_id = '{_plain(alerts[0].alert_id)}'"  # noqa: S608 - for a person
    parts.append(
        "To see what lies behind an alert, ask the store with its id:\n\n"
        f'    bellwether sql "{query}"\n\n'
        "You get this mail because a notification is configured for your address. To end it,\n"
        "set `enabled: false` there."
    )
    return "\n\n".join(parts) + "\n"


def _lines(alert: MailedAlert) -> list[str]:
    facts = [
        ("model", one_line(alert.model_id, 256)),
        ("group", one_line(alert.group_value, 256) if alert.group_value else None),
        ("batch", one_line(alert.batch_id, 256) if alert.batch_id else None),
        ("value", _value(alert.metric_value)),
        ("threshold", f"{_value(alert.threshold)} ({_BOUNDS.get(alert.bound, alert.bound)})"),
        ("samples", None if alert.sample_count is None else f"{alert.sample_count:,}"),
        ("window", _span(alert.window_start, alert.window_end)),
        ("triggered", _time(alert.triggered_time)),
        ("held back", _since(alert.suppressed_since)),
        ("rule", f"{_plain(alert.rule_id)}, version {alert.rule_version}"),
        ("alert", _plain(alert.alert_id)),
    ]
    told = [one_line(alert.message, _TEXT_CHARACTERS_MAX), ""]
    return told + [f"{name + ':':<11}{value}" for name, value in facts if value is not None]


_BOUNDS = {"upper": "fires above", "lower": "fires below"}


def _plain(identifier: str) -> str:
    """Give an id as it may stand in a command line within quotes."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "_", identifier)


def _value(value: float | None) -> str:
    return "undefined: no data" if value is None or value != value else f"{value:.10g}"  # noqa: PLR0124 - NaN


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _span(start: datetime | None, end: datetime | None) -> str | None:
    if start is None or end is None:
        return None
    return f"{start:%Y-%m-%d %H:%M:%S} to {_time(end)}"


def _since(time: datetime | None) -> str | None:
    return None if time is None else f"since {_time(time)}, by the time to wait between alerts"
