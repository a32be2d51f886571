"""The key resource."""

from pydantic import Field

from app.access.keys.scopes import Scope
from app.access.keys.tables import ApiKey
from app.schemas import Name, Schema, Timestamp


class KeyRequest(Schema):
    """A key to make."""

    name: Name = Field(examples=["call centre, production"])
    scopes: list[Scope] = Field(min_length=1, max_length=4, examples=[["predict", "audit"]])


class Key(Schema):
    """An API key, without its secret."""

    id: str = Field(examples=["key_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    object: str = "key"
    name: str
    scopes: list[Scope]
    created_at: Timestamp
    revoked_at: Timestamp | None

    @classmethod
    def of(cls, row: ApiKey) -> "Key":
        """The resource of a row."""
        scopes = [Scope(scope) for scope in row.scopes]
        return cls(
            id=row.id,
            name=row.name,
            scopes=scopes,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
        )


class NewKey(Key):
    """A key just made: the only time that its token is shown."""

    token: str = Field(examples=["sk_01K9ZQ3W8M4V7T2X6B5N0C1DEF_9f8e…"])
