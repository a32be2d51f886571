"""The key resource."""

from typing import Annotated

from pydantic import Field

from app.access.keys.scopes import Scope
from app.access.keys.tables import ApiKey
from app.schemas import Name, Schema, Timestamp

MaxBytes = Annotated[
    int | None,
    Field(
        default=None,
        ge=0,
        le=2**62,
        description="The most bytes that it may keep: corpora, models and jobs. 0 is no limit;"
        " without a value SERVAL_MAX_KEY_BYTES counts.",
        examples=[10737418240],
    ),
]
MaxJobs = Annotated[
    int | None,
    Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="The most queued and running jobs that it may have. 0 is no limit; without a"
        " value SERVAL_MAX_KEY_JOBS counts.",
        examples=[20],
    ),
]


class KeyRequest(Schema):
    """A key to make."""

    name: Name = Field(examples=["call centre, production"])
    scopes: list[Scope] = Field(min_length=1, max_length=4, examples=[["predict", "audit"]])
    max_bytes: MaxBytes
    max_jobs: MaxJobs


class Key(Schema):
    """An API key, without its secret."""

    id: str = Field(examples=["key_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    object: str = "key"
    name: str
    scopes: list[Scope]
    created_at: Timestamp
    revoked_at: Timestamp | None
    max_bytes: MaxBytes
    max_jobs: MaxJobs

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
            max_bytes=row.max_bytes,
            max_jobs=row.max_jobs,
        )


class NewKey(Key):
    """A key just made: the only time that its token is shown."""

    token: str = Field(examples=["sk_01K9ZQ3W8M4V7T2X6B5N0C1DEF_9f8e…"])
