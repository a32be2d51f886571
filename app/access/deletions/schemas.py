"""The deletion resource."""

from typing import Literal

from pydantic import Field

from app.access.deletions.tables import Deletion as Row
from app.schemas import Schema, Timestamp


class Deletion(Schema):
    """Something that was deleted."""

    id: str = Field(examples=["deletion_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    object: Literal["deletion"] = "deletion"
    created_at: Timestamp
    actor: str = Field(
        description="Who asked: a key's id; `local`, while no key was ever made; `cli`, the command"
        " line of the machine; `retention`, a setting.",
        examples=["key_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    kind: str = Field(
        description="audit, training, study, corpus, model; `audio`: the recordings of an audit"
        " that stays; `key`: it was revoked.",
        examples=["audit"],
    )
    subject: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    owner: str
    bytes: int = Field(description="Of the files that went.", examples=[2202009])
    reason: str = Field(
        description="`requested`, `erasure` (all of a key's data), `purge` (the command),"
        " `revoked`, or the setting whose time was over.",
        examples=["SERVAL_KEEP_RESULTS_DAYS"],
    )

    @classmethod
    def of(cls, row: Row) -> "Deletion":
        """The resource of a row."""
        return cls(
            id=row.id,
            created_at=row.created_at,
            actor=row.actor,
            kind=row.kind,
            subject=row.subject,
            owner=row.owner,
            bytes=row.bytes,
            reason=row.reason,
        )
