"""Who is asking, and what they may do.

Keys are bearer tokens `sk_<id>_<secret>`. While no key was ever made, the service is open, but only
on loopback and to loopback (`app.access.loopback`).
"""

import hmac
import re
import time
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy.orm import Session, sessionmaker

from app.access import owners
from app.access.keys.scopes import Scope
from app.access.keys.service import any_key, digest
from app.access.keys.tables import ApiKey
from app.access.loopback import check_loopback, check_origin
from app.access.rates import Activity, Rates
from app.errors import Forbidden, Unauthorized
from app.state import state_of

_token = re.compile(r"sk_([0-9A-HJKMNP-TV-Z]{26})_([0-9a-f]{64})").fullmatch
_MOST_CACHED = 10_000


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


LOCAL = Caller(owners.LOCAL, frozenset(Scope))


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


@dataclass(frozen=True, kw_only=True)
class AccessState:
    """What access needs of the application's state."""

    keyring: Keyring
    rates: Rates


async def _identify(keyring: Keyring, request: Request) -> Caller:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, token = get_authorization_scheme_param(authorization)
        caller = await keyring.caller(token) if scheme.lower() == "bearer" else None
        if caller is not None:
            return caller
    if await keyring.open():
        check_loopback(request)
        check_origin(request)
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


class may(SecurityBase):  # noqa: N801  (reads as a verb: Depends(may(Scope.AUDIT)))
    """A dependency: the caller, who must hold one of ``scopes`` (any key will do without one).

    With ``counts_as`` the request counts towards the key's rate of that activity. It is one
    callable, not a chain of dependencies, so that plain routes can call it.
    """

    model = HTTPBearerModel(
        bearerFormat="sk_<id>_<secret>",
        description="`Authorization: Bearer sk_…`. Not needed on loopback while no key was made.",
    )
    scheme_name = "api_key"

    def __init__(self, *scopes: Scope, counts_as: Activity | None = None) -> None:
        self._scopes = scopes
        self._counts_as = counts_as

    async def __call__(self, request: Request) -> Caller:
        state = state_of(request, AccessState)
        caller = await _identify(state.keyring, request)
        request.state.key_id = caller.key_id  # for the access log
        if self._scopes and not caller.may(*self._scopes):
            raise Forbidden(
                f"This needs a key with the scope {' or '.join(self._scopes)}; this one has"
                f" {', '.join(sorted(caller.scopes))}.",
                code="scope_missing",
            )
        if self._counts_as is not None and caller is not LOCAL:
            await state.rates.take(self._counts_as, caller.key_id)
        return caller


MAY_PREDICT: Final = may(Scope.PREDICT, counts_as="predict")
"""Itself, for the plain routes of predictions, of which FastAPI resolves nothing."""

MayUse = Annotated[Caller, Depends(may())]
MayPredict = Annotated[Caller, Depends(MAY_PREDICT)]
MayAudit = Annotated[Caller, Depends(may(Scope.AUDIT))]
MaySubmitAudit = Annotated[Caller, Depends(may(Scope.AUDIT, counts_as="submit"))]
MayTrain = Annotated[Caller, Depends(may(Scope.TRAIN))]
MaySubmitTraining = Annotated[Caller, Depends(may(Scope.TRAIN, counts_as="submit"))]
MayAdmin = Annotated[Caller, Depends(may(Scope.ADMIN))]
