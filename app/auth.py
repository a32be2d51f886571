"""Who is asking, and what they may do.

Keys are bearer tokens `sk_<id>_<secret>`. While no key was ever made, the service is open, but only
on loopback and to loopback: the peer and the `Host` that it asks for must both be this machine, so
that no web page open in a browser here can reach it under another name (DNS rebinding). Nor may
such a page change anything under the right name: a browser says where a request comes from.
"""

import hmac
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy.orm import Session, sessionmaker

from app.addresses import is_loopback
from app.errors import Forbidden, Unauthorized, shown
from app.keys import ownership
from app.keys.scopes import Scope
from app.keys.service import any_key, digest
from app.keys.tables import ApiKey
from app.rates import Activity

_token = re.compile(r"sk_([0-9A-HJKMNP-TV-Z]{26})_([0-9a-f]{64})").fullmatch
_MOST_CACHED = 10_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1: they change nothing


@dataclass(frozen=True)
class Caller:
    """Who makes the request."""

    key_id: str
    scopes: frozenset[str]

    @property
    def owner(self) -> str:
        """Whose jobs, corpora and models the caller sees."""
        return self.key_id

    def may(self, *scopes: str) -> bool:
        """Whether one of the scopes is held. An admin holds them all."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)


PROXIED = (b"forwarded", b"via", b"x-real-ip", b"x-forwarded-")
"""How the headers begin by which proxies tell that they are one."""

LOCAL = Caller(ownership.LOCAL, frozenset(Scope))


class Keyring:
    """Looks keys up, and believes what it found for a moment: predicting must not cost a query."""

    def __init__(self, sessions: sessionmaker[Session], *, cache_seconds: float) -> None:
        self._sessions = sessions
        self._cache_seconds = cache_seconds
        self._callers: dict[str, tuple[float, Caller | None]] = {}
        self._openness = (float("-inf"), True)

    def forget(self) -> None:
        """Believe nothing: a key was made or revoked."""
        self._callers.clear()
        self._openness = (float("-inf"), True)

    async def open(self) -> bool:
        """Whether no key was ever made."""
        until, is_open = self._openness
        if time.monotonic() >= until:
            is_open = await run_in_threadpool(self._read_open)
            self._openness = (time.monotonic() + self._cache_seconds, is_open)
        return is_open

    async def caller(self, token: str) -> Caller | None:
        """Who holds the token, or None if it is not a valid key's."""
        parts = _token(token)
        if parts is None:
            return None
        name = digest(token)  # no secret is kept in memory
        until, known = self._callers.get(name, (float("-inf"), None))
        if time.monotonic() >= until:
            known = await run_in_threadpool(self._read_caller, f"key_{parts[1]}", parts[2])
            if len(self._callers) >= _MOST_CACHED:
                self._callers.clear()
            self._callers[name] = (time.monotonic() + self._cache_seconds, known)
        return known

    def _read_open(self) -> bool:
        with self._sessions() as session:
            return not any_key(session)

    def _read_caller(self, key_id: str, secret: str) -> Caller | None:
        with self._sessions() as session:
            key = session.get(ApiKey, key_id)
        # Compared even where there is no such key, so that the time taken tells nothing.
        stored = key.sha256 if key is not None else "0" * 64
        same = hmac.compare_digest(stored, digest(secret))
        if key is None or not same or key.revoked_at is not None:
            return None
        return Caller(key.id, frozenset(key.scopes))


async def _identify(keyring: Keyring, request: Request) -> Caller:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, token = get_authorization_scheme_param(authorization)
        caller = await keyring.caller(token) if scheme.lower() == "bearer" else None
        if caller is not None:
            return caller
    if await keyring.open():
        _check_loopback(request)
        _check_origin(request)
        return LOCAL
    if authorization is None:
        raise Unauthorized(
            "This needs an API key: send `Authorization: Bearer sk_…`.", code="key_missing"
        )
    raise Unauthorized(
        "The Authorization header holds no valid API key: it must be `Bearer sk_<id>_<secret>`, as"
        " it was shown when the key was made, and not revoked.",
        code="key_invalid",
    )


def _check_loopback(request: Request) -> None:
    peer = request.client.host if request.client is not None else "127.0.0.1"
    authority = request.headers.get("host")
    host = _host(authority) if authority is not None else request.url.hostname or ""
    if is_loopback(peer) and is_loopback(host):
        return _check_no_proxy(request)
    raise Forbidden(
        "No API key was made yet, so only this machine may ask, by the name 127.0.0.1 or localhost"
        f" (this came from {peer}, for {shown(host)}). Make one: serval keys create",
        code="open_on_loopback_only",
    )


def _check_no_proxy(request: Request) -> None:
    """Refuse what a proxy on this machine passes on: it comes from loopback, whoever asked."""
    passed_on = [name for name, _ in request.scope["headers"] if name.startswith(PROXIED)]
    if passed_on:
        raise Forbidden(
            "No API key was made yet, so only this machine's own programs may ask, and this came"
            f" through a proxy (it has {min(passed_on).decode()}). Make a key: serval keys create",
            code="open_on_loopback_only",
        )


def _check_origin(request: Request) -> None:
    """Refuse what a page of another site makes the browser here send (CSRF).

    A form needs no leave of ours to be posted, and no key is asked for. Browsers say where a
    request comes from; programs such as curl and `serval` say nothing, and are no web page.
    """
    if request.method in SAFE_METHODS or _from_here(request):
        return
    raise Forbidden(
        "No API key was made yet, so this machine's own programs may do this, and web pages of"
        f" other sites may not (this came from {_source(request)}). Ask from a program or from"
        " /docs, or make a key and send it: serval keys create",
        code="cross_site",
    )


def _from_here(request: Request) -> bool:
    """Whether the request comes from no web page, or from one that this service served.

    Neither header is proof alone: older browsers send no Sec-Fetch-Site, and some requests have no
    Origin. Another port of this machine is another site's page too ("same-site").
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    return origin is None or _authority(origin) == request.headers.get("host", "").lower()


def _authority(origin: str) -> str | None:
    """The host and port of an Origin such as http://127.0.0.1:8000; None for "null" and the like.

    The scheme is left out: behind a proxy that ends TLS it is not the one that is seen here.
    """
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:  # "http://[" and other things that are no address
        return None


def _source(request: Request) -> str:
    origin = request.headers.get("origin")
    if origin is not None:
        return f"Origin {shown(origin)}"
    return f"Sec-Fetch-Site {shown(request.headers.get('sec-fetch-site'))}"


@lru_cache(maxsize=256)
def _host(authority: str) -> str:
    """The name or address in a Host header; "" if it is malformed."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


class may(SecurityBase):  # noqa: N801  (reads as a verb: Depends(may(Scope.AUDIT)))
    """A dependency: the caller, who must hold one of ``scopes`` (any key will do without one).

    With ``counts_as`` the request counts towards the key's rate of that activity. It is one
    callable, not a chain of dependencies: each link of a chain costs a prediction some 40 µs.
    """

    model = HTTPBearerModel(
        bearerFormat="sk_<id>_<secret>",
        description="`Authorization: Bearer sk_…`. Not needed on loopback while no key was made.",
    )
    scheme_name = "API key"

    def __init__(self, *scopes: Scope, counts_as: Activity | None = None) -> None:
        self._scopes = scopes
        self._counts_as = counts_as

    async def __call__(self, request: Request) -> Caller:
        caller = await _identify(request.app.state.keyring, request)
        request.state.key_id = caller.key_id  # for the access log
        if self._scopes and not caller.may(*self._scopes):
            raise Forbidden(
                f"This needs a key with the scope {' or '.join(self._scopes)}; this one has"
                f" {', '.join(sorted(caller.scopes))}.",
                code="scope_missing",
            )
        if self._counts_as is not None and caller is not LOCAL:
            request.app.state.rates.take(self._counts_as, caller.key_id)
        return caller


MayUse = Annotated[Caller, Depends(may())]
MayPredict = Annotated[Caller, Depends(may(Scope.PREDICT, counts_as="predict"))]
MayAudit = Annotated[Caller, Depends(may(Scope.AUDIT))]
MaySubmitAudit = Annotated[Caller, Depends(may(Scope.AUDIT, counts_as="submit"))]
MayTrain = Annotated[Caller, Depends(may(Scope.TRAIN))]
MaySubmitTraining = Annotated[Caller, Depends(may(Scope.TRAIN, counts_as="submit"))]
MayAdmin = Annotated[Caller, Depends(may(Scope.ADMIN))]
