"""Who is asking: users and their API keys, however a contract presents them.

- `Authorization: Bearer KEY`, `ApiKey KEY` (Elasticsearch; also base64 of `id:KEY`), `Token KEY`
  (Scale), `Basic` with the key as password, or the bare key (Arthur); `X-Arcanna-Api-Key`,
  `X-Api-Key`; or the session cookie that a login (Dioptra) has given.
- Keys are compared as SHA-256 digests, all of them, in constant time. They are long and random, so
  a fast digest is enough.
- No key is configured, and the server answers on the loopback interface alone: then everybody is an
  administrator, except what another site's page sends through a browser (`Host` and `Origin` tell).
  On other interfaces nobody is anybody without a key, also when the last key is taken away.
- Too many wrong keys from one address: none of its keys is looked at for a while.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid3

from fastapi import Depends
from starlette.requests import Request

from connectors.rest.faults import Fault
from engine.config import UserSettings

__all__ = [
    "COOKIE",
    "KEY_CHARACTERS_MIN",
    "ROLES",
    "Administrator",
    "Caller",
    "Editor",
    "Users",
    "Viewer",
    "caller_of",
    "digest_of",
    "user_id",
    "users_of",
]

COOKIE = "bellwether_session"
KEY_CHARACTERS_MIN = 16
ROLES = ("viewer", "editor", "administrator")

_FAILURES_MAX, _FAILURES_S = 10, 60.0
_ADDRESSES_MAX = 10_000
_SESSIONS_MAX, _SESSION_S = 10_000, 12 * 3_600.0
_USERS = UUID("0a64cf0a-53a1-3f0e-8a8e-6c1d7a5b3f42")  # never to change
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LOCAL = UserSettings("local", None, "administrator")


def user_id(username: str) -> UUID:
    """Give the id of a user, the same for ever."""
    return uuid3(_USERS, username)


def digest_of(key: str) -> str:
    """Give what is kept of a key: its SHA-256, as hex."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """A user who asks, and what that user may do.

    Attributes
    ----------
    id : UUID
    role : str
        ``viewer`` reads, ``editor`` also writes, ``administrator`` may do anything.
    models, jobs : frozenset of str or None
        All that the user may see; None: every one.
    """

    username: str
    id: UUID
    role: str
    email: str | None = None
    models: frozenset[str] | None = None
    jobs: frozenset[str] | None = None

    @classmethod
    def of(cls, user: UserSettings) -> "Caller":
        """Make one of a configured user."""
        return cls(
            user.username,
            user_id(user.username),
            user.role,
            user.email,
            None if user.models is None else frozenset(user.models),
            None if user.jobs is None else frozenset(user.jobs),
        )

    def is_at_least(self, role: str) -> bool:
        """Tell whether the user has a role, or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees_model(self, model_id: str) -> bool:
        """Tell whether a model exists for this user."""
        return self.models is None or model_id in self.models

    def sees_job(self, job_id: str) -> bool:
        """Tell whether a job exists for this user."""
        return self.jobs is None or job_id in self.jobs

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden from this user."""
        return self.models is None and self.jobs is None


class Users:
    """Everybody who may ask, by their keys and their sessions.

    Parameters
    ----------
    configured : callable
        Gives the users in force.
    env_digests : mapping of str to str
        By username: the digest of a key that came from the environment.
    loopback : bool
        Whether only this machine can ask.
    clock_s : callable
        Seconds that pass.
    """

    def __init__(
        self,
        configured: Callable[[], tuple[UserSettings, ...]],
        env_digests: Mapping[str, str],
        *,
        loopback: bool,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configured, self._env_digests = configured, env_digests
        self._loopback, self._clock_s = loopback, clock_s
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()

    @property
    def open(self) -> bool:
        """Whether no key is needed."""
        return self._loopback and not any(self._digests(user) for user in self._configured())

    def caller(self, request: Request) -> Caller:
        """Give who sent a request.

        Raises
        ------
        Fault
            401: nobody known, or no key; 429: too many wrong keys.
        """
        if self.open:
            _check_own_page(request)
            return Caller.of(_LOCAL)
        address = request.client.host if request.client else ""
        self._check_failures(address)
        presented = _presented(request)
        user = None if presented is None else self._with_key(*presented)
        if user is None:
            user = self._with_session(request.cookies.get(COOKIE))
        if user is not None:
            return Caller.of(user)
        if presented is not None:
            self._failed(address)
        msg = "an API key must be given" if presented is None else "the API key must be a known one"
        raise Fault(401, msg, headers={"WWW-Authenticate": 'ApiKey realm="bellwether"'})

    def log_in(self, request: Request, username: str, password: str) -> str | None:
        """Give a new session's token for a user whose key is the password; None: it is not.

        Raises
        ------
        Fault
            429: too many wrong ones.
        """
        if self.open:
            _check_own_page(request)
            return self._session(_LOCAL.username)
        address = request.client.host if request.client else ""
        self._check_failures(address)
        user = self._with_key(password, username)
        if user is None:
            self._failed(address)
            return None
        return self._session(user.username)

    def log_out(self, request: Request) -> None:
        """End the session of a request, if it has one."""
        self._sessions.pop(digest_of(request.cookies.get(COOKIE, "")), None)

    def log_out_everywhere(self, username: str) -> None:
        """End all sessions of a user."""
        for token, (name, _) in list(self._sessions.items()):
            if name == username:
                self._sessions.pop(token, None)

    # ---- keys -------------------------------------------------------------------------------

    def _digests(self, user: UserSettings) -> list[str]:
        found = (user.api_key_sha256, self._env_digests.get(user.username))
        return [each for each in found if each is not None]

    def _with_key(self, key: str, username: str | None = None) -> UserSettings | None:
        """Find the user of a key; every known digest is compared, whichever it is."""
        given, found = digest_of(key), None
        for user in self._configured():
            for digest in self._digests(user):
                same = hmac.compare_digest(given, digest)
                if same and (username is None or username == user.username):
                    found = user
        return found

    def _check_failures(self, address: str) -> None:
        now_s = self._clock_s()
        kept = [at for at in self._failures.get(address, []) if at > now_s - _FAILURES_S]
        if len(kept) >= _FAILURES_MAX:
            wait_s = max(1, round(kept[0] + _FAILURES_S - now_s))
            msg = "too many wrong API keys came from this address"
            raise Fault(429, msg, headers={"Retry-After": str(wait_s)})

    def _failed(self, address: str) -> None:
        now_s = self._clock_s()
        kept = [at for at in self._failures.pop(address, []) if at > now_s - _FAILURES_S]
        self._failures[address] = [*kept, now_s]
        while len(self._failures) > _ADDRESSES_MAX:
            self._failures.popitem(last=False)

    # ---- sessions ---------------------------------------------------------------------------

    def _session(self, username: str) -> str:
        token = secrets.token_urlsafe(32)
        self._sessions[digest_of(token)] = (username, self._clock_s() + _SESSION_S)
        while len(self._sessions) > _SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return token

    def _with_session(self, token: str | None) -> UserSettings | None:
        username, until_s = self._sessions.get(digest_of(token or ""), (None, 0.0))
        if username is None or until_s < self._clock_s():
            return None
        return next((user for user in self._configured() if user.username == username), None)


def _presented(request: Request) -> tuple[str, str | None] | None:
    """Give the key of a request, and the username that must go with it, if one was given."""
    for name in ("x-arcanna-api-key", "x-api-key"):
        if request.headers.get(name):
            return request.headers[name].strip(), None
    written = request.headers.get("authorization", "").strip()
    if not written:
        return None
    scheme, _, rest = written.partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if not rest:
        return written, None
    if scheme == "basic":
        username, _, key = _decoded(rest).partition(":")
        return key, username
    if scheme == "apikey":
        _, colon, key = _decoded(rest).partition(":")
        return (key if colon else rest), None
    return rest, None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _check_own_page(request: Request) -> None:
    """See that a request without a key was meant for this server, not sent by a foreign page."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    try:
        local = urlsplit(f"//{host}").hostname in _LOOPBACK
        ours = origin is None or urlsplit(origin).netloc == host
    except ValueError:  # brackets without an address in them
        local = ours = False
    if not (local and ours):
        msg = "without API keys only requests to localhost, from its own pages, are answered"
        raise Fault(403, msg)


# ---- what routes depend on -------------------------------------------------------------------


def users_of(request: Request) -> Users:
    """Give the users of the server that a request came to."""
    users: Users = request.app.state.users
    return users


def caller_of(request: Request) -> Caller:
    """Give who sent a request; see `Users.caller`."""
    return users_of(request).caller(request)


def _at_least(role: str) -> Callable[[Request], Coroutine[Any, Any, Caller]]:
    async def found(request: Request) -> Caller:  # so that no thread is needed for it
        caller = caller_of(request)
        if not caller.is_at_least(role):
            msg = f"the user must be {role} or more, got {caller.role}"
            raise Fault(403, msg)
        return caller

    return found


Viewer = Annotated[Caller, Depends(_at_least("viewer"))]
Editor = Annotated[Caller, Depends(_at_least("editor"))]
Administrator = Annotated[Caller, Depends(_at_least("administrator"))]
