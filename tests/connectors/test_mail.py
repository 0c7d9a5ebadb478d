"""A mail must say all that a person needs, and nothing in a name may forge a header or a line.

Names come from events of strangers; the laws put arbitrary text into each of them and read the
mail back with the standard library's parser from the bytes that would be sent.
"""

import email.policy
from dataclasses import replace
from datetime import UTC
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outbox_tables import NOON, alert, mail

from connectors.mail import compose, domain_of, one_line

SENDER = "Bellwether <bellwether@example.org>"
HEADERS = [
    "Subject",
    "From",
    "To",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
]


def read(message):
    return message_from_bytes(message.as_bytes(), policy=email.policy.default)


def text(message):
    return read(message).get_content().replace("\r\n", "\n")


def test_golden_the_mail_of_one_alert():
    message = compose(SENDER, mail(alert(group_value="Boston", batch_id="b1")))
    assert message["Subject"] == "[critical] accuracy fell (Boston): triage"
    assert (
        text(message)
        == """\
[critical] accuracy fell (Boston): triage

    accuracyRate was 0.82, below 0.9

    model:     triage
    group:     Boston
    batch:     b1
    value:     0.82
    threshold: 0.9 (fires below)
    samples:   1,234
    window:    2026-01-02 11:55:00 to 2026-01-02 12:00:00 UTC
    triggered: 2026-01-02 12:00:00 UTC
    rule:      11111111-1111-3111-8111-111111111111, version 1
    alert:     00000000-0000-3000-8000-000000000001

To see what lies behind an alert, ask the store with its id:

    bellwether sql "SELECT * FROM alerts WHERE alert_id = '00000000-0000-3000-8000-000000000001'"

You get this mail because a notification is configured for your address. To end it,
set `enabled: false` there.
"""
    )


def test_golden_the_subject_of_several_alerts():
    warning = alert(2, severity="warning")
    other = alert(3, model_id="other", severity="warning")
    assert subject(alert(), warning) == "2 alerts of triage, 1 critical"
    assert subject(alert(), warning, other) == "3 alerts of 2 models, 1 critical"
    assert subject(warning, other) == "2 alerts of 2 models, none critical"


def subject(*alerts):
    return compose(SENDER, mail(*alerts))["Subject"]


def test_each_of_several_alerts_is_told_in_full():
    alerts = [alert(n, rule_name=f"rule {n}", message=f"message {n}") for n in range(1, 4)]
    body = text(compose(SENDER, mail(*alerts)))
    for n, each in enumerate(alerts, start=1):
        assert f"\n{n}. [critical] rule {n}: triage\n\n    message {n}\n" in body
        assert f"\n    alert:     {each.alert_id}\n" in body


def test_the_headers_say_who_when_and_that_no_person_wrote_it():
    message = read(compose(SENDER, mail(key="ab" * 16)))
    assert [name for name, _ in message.items()] == HEADERS
    assert parseaddr(message["From"]) == ("Bellwether", "bellwether@example.org")
    assert message["To"] == "ana@example.org"
    assert message["Message-ID"] == f"<{'ab' * 16}@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(message["Date"]) == NOON.replace(tzinfo=UTC)


def test_the_same_group_is_the_same_mail_in_every_attempt():
    group = mail(alert(1), alert(2))
    first = compose(SENDER, group).as_bytes()
    assert compose(SENDER, replace(group, attempt=7)).as_bytes() == first


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_undefined_value_is_told_as_such(value):
    body = text(compose(SENDER, mail(alert(metric_value=value, sample_count=0))))
    assert "\n    value:     undefined: no data\n" in body
    assert "\n    samples:   0\n" in body


def test_what_is_absent_is_not_told():
    absent = alert(sample_count=None, window_start=None, window_end=None)
    body = text(compose(SENDER, mail(absent)))
    assert [
        name for name in ("samples:", "window:", "group:", "batch:", "held back:") if name in body
    ] == []
    held = text(compose(SENDER, mail(alert(suppressed_since=NOON))))
    assert "\n    held back: since 2026-01-02 12:00:00 UTC, by the time to wait" in held


NAMES = st.text(min_size=1, max_size=120) | st.sampled_from(
    [
        "fell\r\nBcc: all@example.org",
        "fell\n\nBcc: all@example.org",
        "a\u2028b\x85c\x0bd\x00e",
        "=?utf-8?q?x=0D=0ABcc:_a=40b.org?=",
        "\u202egnp.exe",
        "😀" * 60,
        "x" * 256,
        ".\r\n.\r\nQUIT",
        '"quoted" <a@b.org>, c',
    ]
)


@settings(max_examples=60, deadline=None)
@given(name=NAMES, model=NAMES, value=NAMES, message=NAMES)
def test_law_no_name_forges_a_header_or_a_line(name, model, value, message):
    one = alert(rule_name=name, model_id=model, group_value=value, message=message)
    sent = compose(SENDER, mail(one))
    raw = sent.as_bytes()
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    back = read(sent)
    assert [header for header, _ in back.items()] == HEADERS
    told = f"[critical] {one_line(name)} ({one_line(value)}): {one_line(model)}"
    plain = alert(group_value="x")
    assert len(text(sent).split("\n")) == len(text(compose(SENDER, mail(plain))).split("\n"))
    assert text(sent).startswith(told + "\n")
    assert back["Subject"] == told


@given(value=st.text(), most=st.integers(2, 50))
def test_law_one_line_is_one_line_of_limited_length(value, most):
    line = one_line(value, most)
    assert len(line) <= most
    assert len(line.splitlines()) <= 1
    assert one_line(line, most) == line


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "ana@",
        "@example.org",
        "a@b.org, c@d.org",
        "ana@example.org\r\nBcc: all@example.org",
        "ana@example.org\x00",
        "ana smith@example.org",
        '"ana"@example.org',
        "<ana@example.org>",
    ],
)
def test_error_a_destination_that_is_not_one_address(address):
    with pytest.raises(ValueError, match=r"`destination` must be an address like"):
        compose(SENDER, mail(to=address))


@settings(max_examples=60, deadline=None)
@given(name=NAMES.map(one_line).filter(bool))
def test_law_any_name_of_the_sender_arrives(name):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    raw = compose(f'"{quoted}" <b@example.org>', mail()).as_bytes()
    parsed = message_from_bytes(raw, policy=email.policy.compat32)
    display, address = parseaddr(parsed["From"])
    assert str(make_header(decode_header(display))) == name
    assert address == "b@example.org"
    assert [header for header, _ in parsed.items()] == HEADERS


def test_a_sender_without_a_name():
    assert b"\r\nFrom: b@example.org\r\n" in compose("b@example.org", mail()).as_bytes()


def test_error_a_sender_that_is_no_address():
    with pytest.raises(ValueError, match=r"`from` must be an address like ana@example.org, got"):
        compose("Bellwether", mail())


def test_a_domain_beyond_ascii_goes_out_in_ascii():
    message = compose("Bellwether <b@bücher.example>", mail(to="ana@exämple.org"))
    assert message["From"] == "Bellwether <b@xn--bcher-kva.example>"
    assert message["To"] == "ana@xn--exmple-cua.org"


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        (SENDER, "example.org"),
        ("b@bücher.example", "xn--bcher-kva.example"),
        ("b@a_b", "bellwether"),
        ("nobody", "bellwether"),
    ],
)
def test_golden_the_domain_of_message_ids(sender, domain):
    assert domain_of(sender) == domain
