"""Make, list and revoke API keys."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.access.deletions import service as deletions
from app.access.deletions.service import Order
from app.access.keys.scopes import Scope
from app.access.keys.tables import ApiKey
from app.errors import Invalid, NotFound, shown
from app.persistence.database import now
from app.persistence.ids import is_id, new_id


class MadeKey(NamedTuple):
    """A new key: its row, and the token, which is shown this once and never again."""

    key: ApiKey
    token: str


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_key(
    session: Session,
    *,
    name: str,
    scopes: Iterable[str],
    max_bytes: int | None = None,
    max_jobs: int | None = None,
) -> MadeKey:
    """Make a key ``sk_<id>_<secret>`` and commit it.

    Args:
        max_bytes: the most that it may keep; 0 is no limit, None the service's.
        max_jobs: the most unfinished jobs that it may have; the same.

    Raises:
        Invalid: no scope is given, or one that does not exist.
    """
    made = add_key(session, name=name, scopes=scopes, max_bytes=max_bytes, max_jobs=max_jobs)
    session.commit()
    return made


def add_key(
    session: Session,
    *,
    name: str,
    scopes: Iterable[str],
    max_bytes: int | None = None,
    max_jobs: int | None = None,
) -> MadeKey:
    """`create_key` in the caller's transaction."""
    chosen = sorted(set(scopes))
    unknown = [scope for scope in chosen if scope not in set(Scope)]
    if unknown or not chosen:
        what = f"{shown(unknown[0])} is not a scope" if unknown else "A key needs a scope"
        raise Invalid(f"{what}; choose from {', '.join(Scope)}.", code="unknown_scope")
    key_id, secret = new_id("key"), secrets.token_hex(32)
    key = ApiKey(
        id=key_id,
        name=name,
        scopes=chosen,
        sha256=digest(secret),
        max_bytes=max_bytes,
        max_jobs=max_jobs,
    )
    session.add(key)
    session.flush()
    return MadeKey(key, f"sk_{key_id.removeprefix('key_')}_{secret}")


def list_keys(session: Session) -> list[ApiKey]:
    """All keys, newest first, revoked ones too."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)))


def get(session: Session, key_id: str) -> ApiKey:
    """The key.

    Raises:
        NotFound: there is none with this id.
    """
    key = session.get(ApiKey, key_id) if is_id(key_id, "key") else None
    if key is None:
        raise NotFound(f"There is no key {shown(key_id)}. GET /v1/keys lists them.")
    return key


def revoke_key(session: Session, key_id: str, *, actor: str) -> ApiKey:
    """Revoke a key. Revoking it again changes nothing.

    Args:
        actor: who asks, for the trail: a key's id, `local` or `cli`.

    Raises:
        NotFound: there is no such key.
    """
    key = get(session, key_id)
    if key.revoked_at is None:
        key.revoked_at = now()
        deletions.record(session, Order(actor, "revoked"), "key", key.id, owner=key.id)
        session.commit()
    return key


def any_key(session: Session) -> bool:
    """Whether a key was ever made. A revoked one counts: the service does not open up again."""
    return bool(session.scalar(select(exists().where(ApiKey.id.is_not(None)))))
