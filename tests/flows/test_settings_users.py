"""Users, the mail server and who is told of what: read whole, and every fault told with its place."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from settings_files import faults, settings_of

from engine.config import NotificationSettings, SmtpSettings, UserSettings
from engine.errors import ConfigurationError
from flows.usersettings import digests_of

GOOD = """\
notifications:
  smtp:
    host: mail.example.org
    port: 587
    from: bellwether@example.org
    security: starttls
    username: bell
    password_env: SMTP_PASSWORD
    timeout: 2500ms
    retry: 1m
    join: 0
    ca_file: certificates/ca.pem
  configurations:
    - {user: ana, model: triage, type: email, destination: ana+alerts@example.org}
    - {user: ana, model: not seen yet, type: email, destination: ana+alerts@example.org, enabled: false}
users:
  - {username: ana, email: ana+alerts@example.org, role: administrator}
  - {username: bo, email: bo@localhost}
  - {username: cy}
"""


def test_contract_AR_19_to_25_users_and_notifications_are_read_in_any_order(tmp_path):
    found = settings_of(tmp_path, GOOD)
    address = "ana+alerts@example.org"
    assert found.users == (
        UserSettings("ana", address, "administrator"),
        UserSettings("bo", "bo@localhost"),
        UserSettings("cy"),
    )
    assert found.administrators == ("ana",)
    assert found.smtp == SmtpSettings(
        host="mail.example.org",
        port=587,
        sender="bellwether@example.org",
        security="starttls",
        username="bell",
        password_env="SMTP_PASSWORD",
        timeout_s=2.5,
        retry_s=60.0,
        join_s=0.0,
        ca_file="certificates/ca.pem",
    )
    assert found.notifications == (
        NotificationSettings("ana", "triage", address),
        NotificationSettings("ana", "not seen yet", address, enabled=False),
    )


def test_golden_little_said_is_enough(tmp_path):
    content = "notifications: {smtp: {host: 127.0.0.1, port: 2525, from: b@example.org}}"
    found = settings_of(tmp_path, content)
    assert found.smtp == SmtpSettings("127.0.0.1", 2525, "b@example.org")
    assert found.notifications == ()
    assert settings_of(tmp_path, "notifications: {}").smtp is None
    assert settings_of(tmp_path, "notifications: {configurations: []}").notifications == ()


SMTP = "smtp: {host: h, port: 25, from: b@c"
ANA = "users: [{username: ana, email: ana@b.c}]\n"
TOLD = "model: m, type: email, destination: ana@b.c"
ADDRESS = "must be an e-mail address such as ana@example.org"
DIGEST = "must be the SHA-256 of a key, 64 hexadecimal digits, never the key itself, got something else, not shown here"
SECRET = (
    "must be the name of an environment variable, of A to Z, 0 to 9 and _, never the secret itself,"
    " got something else, not shown here"
)
HOST = "must be the name or address of a host, such as mail.example.org"
SPAN = 'must be a duration such as "500ms", "5s" or "1m", up to 1 d'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        # users
        ("users: [{username: a, email: b}]", f'1: users[0].email {ADDRESS}, got "b"'),
        ("users: [{username: a, email: 'A <a@b.c>'}]", f'1: users[0].email {ADDRESS}, got "A <a@b.c>"'),
        ("users: [{username: a, email: a@b.c@d}]", f'1: users[0].email {ADDRESS}, got "a@b.c@d"'),
        ("users: [{username: a, email: a..b@c.d}]", f'1: users[0].email {ADDRESS}, got "a..b@c.d"'),
        ("users: [{username: a, email: 'a@b.c, d@e.f'}]", f'1: users[0].email {ADDRESS}, got "a@b.c, d@e.f"'),
        ('users: [{username: a, email: "a@b.c\\nBcc: d@e.f"}]', f'1: users[0].email {ADDRESS}, got "a@b.c\\nBcc: d@e.f"'),
        ('users: [{username: a, email: "a@b.c\\n"}]', f'1: users[0].email {ADDRESS}, got "a@b.c\\n"'),
        (f"users: [{{username: a, email: {'a' * 65}@b.c}}]", f'1: users[0].email {ADDRESS}, got "{"a" * 65}@b.c"'),
        ("users: [{username: a, email: a@-b.c}]", f'1: users[0].email {ADDRESS}, got "a@-b.c"'),
        ("users: [{username: a, email: null}]", f"1: users[0].email {ADDRESS}, got null"),
        ("users: [{username: a, email: [a@b.c]}]", f"1: users[0].email {ADDRESS}, got a list of 1"),
        ("users: [{username: a, api_key_env: hunter2}]", f"1: users[0].api_key_env {SECRET}"),
        ("users: [{username: a, api_key_env: 1KEY}]", f"1: users[0].api_key_env {SECRET}"),
        ("users: [{username: a, api_key: b}]", '1: `users[0].api_key` is not a known key; did you mean "api_key_env"?'),
        ("users: [{username: a, api_key_sha256: hunter2}]", f"1: users[0].api_key_sha256 {DIGEST}"),
        ("users: [{username: a, models: m}]", '1: users[0].models must be a list of ids of models, got "m"'),
        ("users: [{username: a, jobs: [j, j]}]", '1: users[0].jobs[1] must be there once, got "j" again'),
        ("users: [{username: a, api_key_env: K}, {username: b, api_key_env: K}]", '1: users must have different values of `api_key_env`, got one of "a" and "b"'),
        # the mail server
        ("notifications: []", "1: notifications must be a mapping of keys to values, got a list of 0"),
        ("notifications: {smtp: {port: 25, from: a@b.c}}", "1: notifications.smtp.host must be given, got nothing"),
        ("notifications: {smtp: {host: h, from: a@b.c}}", "1: notifications.smtp.port must be given, got nothing"),
        ("notifications: {smtp: {host: h, port: 25}}", "1: notifications.smtp.from must be given, got nothing"),
        ("notifications: {smtp: {host: 'smtp://h', port: 25, from: a@b.c}}", f'1: notifications.smtp.host {HOST}, got "smtp://h"'),
        ("notifications: {smtp: {host: h, port: 0, from: a@b.c}}", "1: notifications.smtp.port must be a whole number from 1 to 65535, got 0"),
        ("notifications: {smtp: {host: h, port: 25, from: bellwether}}", f'1: notifications.smtp.from {ADDRESS}, got "bellwether"'),
        (f"notifications: {{{SMTP}, security: ssl}}}}", '1: notifications.smtp.security must be one of none, starttls, tls, got "ssl"'),
        (f"notifications: {{{SMTP}, username: u}}}}", "1: notifications.smtp.username must be given together with `password_env`, got nothing there"),
        (f"notifications: {{{SMTP}, password_env: P}}}}", "1: notifications.smtp.password_env must be given together with `username`, got nothing there"),
        (f"notifications: {{{SMTP}, username: u, password_env: 'p4ss word'}}}}", f"1: notifications.smtp.password_env {SECRET}"),
        (f"notifications: {{{SMTP}, password: hunter2}}}}", '1: `notifications.smtp.password` is not a known key; did you mean "password_env"?'),
        (f"notifications: {{{SMTP}, timeout: 0}}}}", f"1: notifications.smtp.timeout {SPAN}, above 0, got 0"),
        (f"notifications: {{{SMTP}, retry: -1}}}}", f"1: notifications.smtp.retry {SPAN}, above 0, got -1"),
        (f"notifications: {{{SMTP}, join: 2d}}}}", f'1: notifications.smtp.join {SPAN}, got "2d"'),
        (f"notifications: {{{SMTP}, ca_file: x}}}}", '1: notifications.smtp.ca_file must be left out where `security` is none, got "x"'),
        # who is told
        (
            f"{ANA}notifications:\n  configurations:\n  - {{user: ana, {TOLD}}}",
            "4: notifications.smtp must be given where there are configurations, got nothing",
        ),
        (
            f"{ANA}notifications:\n  {SMTP}}}\n  configurations: [{{user: anna, {TOLD}}}]",
            '4: notifications.configurations[0].user must be one of `users`, got "anna"; did you mean "ana"?',
        ),
        (
            f"notifications:\n  {SMTP}}}\n  configurations: [{{user: ana, {TOLD}}}]",
            '3: notifications.configurations[0].user must be one of `users`, got "ana"',
        ),
        (
            f"users: [{{username: ana}}]\nnotifications:\n  {SMTP}}}\n  configurations: [{{user: ana, {TOLD}}}]",
            '4: notifications.configurations[0].destination must be the address of "ana", who has none, got "ana@b.c"',
        ),
        (
            f"{ANA}notifications:\n  {SMTP}}}\n  configurations: [{{user: ana, model: m, type: email, destination: bo@b.c}}]",
            '4: notifications.configurations[0].destination must be the address of "ana", ana@b.c, got "bo@b.c"',
        ),
        (
            f"{ANA}notifications:\n  {SMTP}}}\n  configurations: [{{user: ana, model: m, type: sms, destination: ana@b.c}}]",
            '4: notifications.configurations[0].type must be one of email, got "sms"',
        ),
        (
            f"{ANA}notifications:\n  {SMTP}}}\n  configurations: [{{user: ana, type: email, destination: ana@b.c}}]",
            "4: notifications.configurations[0].model must be given, got nothing",
        ),
        (
            f"{ANA}notifications:\n  {SMTP}}}\n  configurations:\n  - {{user: ana, {TOLD}}}\n  - {{user: ana, {TOLD}, enabled: false}}",
            '6: notifications.configurations[1] must be there once for a user and a model, got "ana" and "m" again',
        ),
        (
            f"{ANA}notifications:\n  {SMTP}}}\n  configurations: [{{user: ana, {TOLD}, enabled: on}}]",
            '4: notifications.configurations[0].enabled must be true or false, got "on"',
        ),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, content, fault):
    assert faults(tmp_path, content) == [fault]


def test_error_a_wrong_address_is_told_once_and_no_secret_is_ever_shown(tmp_path):
    content = f"""\
users:
- {{username: ana, email: nowhere, api_key_env: s3cret}}
notifications:
  {SMTP}, username: u, password_env: s3cret}}
  configurations: [{{user: ana, model: m, type: email, destination: nowhere}}]
"""
    found = faults(tmp_path, content)
    assert found == [
        f'2: users[0].email {ADDRESS}, got "nowhere"',
        f"2: users[0].api_key_env {SECRET}",
        f"4: notifications.smtp.password_env {SECRET}",
    ]


def test_golden_keys_and_what_users_see(tmp_path):
    digest = "AB" * 32
    content = f"users: [{{username: a, api_key_env: A_KEY, api_key_sha256: {digest}, models: [m, 1], jobs: []}}]"
    assert settings_of(tmp_path, content).users == (
        UserSettings("a", None, "viewer", "A_KEY", digest.lower(), ("m", "1"), ()),
    )


def test_golden_keys_of_the_environment_become_digests(monkeypatch):
    monkeypatch.setenv("A_KEY", "0123456789abcdef")
    users = (UserSettings("a", api_key_env="A_KEY"), UserSettings("b"))
    digest = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"
    assert digests_of(users) == {"a": digest}


def test_error_a_key_of_the_environment_is_there_and_long_and_never_shown(monkeypatch):
    monkeypatch.setenv("A_KEY", "0123456789abcde")
    monkeypatch.delenv("B_KEY", raising=False)
    users = (UserSettings("a", api_key_env="A_KEY"), UserSettings("b", api_key_env="B_KEY"))
    with pytest.raises(ConfigurationError) as caught:
        digests_of(users)
    assert str(caught.value).split("\n") == [
        'the API key of the user "a" must be at least 16 characters in the environment variable A_KEY, got a shorter one',
        'the API key of the user "b" must be at least 16 characters in the environment variable B_KEY, got none',
    ]
