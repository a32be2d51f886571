"""What is kept, how large it is, when it expires, and what was deleted."""

import sqlalchemy as sa
from alembic import op

from app.persistence.database import UtcDateTime

revision = "0005"
down_revision = "0004"

MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    for table in ("corpora", "models", "jobs"):
        op.add_column(table, sa.Column("bytes", sa.BigInteger))  # NULL: the reconciler measures
        op.create_index(f"ix_{table}_owner_bytes", table, ["owner", "bytes"])
    op.add_column(
        "jobs", sa.Column("audio_bytes", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column("jobs", sa.Column("audio_expired_at", MOMENT))
    op.add_column("api_keys", sa.Column("max_bytes", sa.BigInteger))
    op.add_column("api_keys", sa.Column("max_jobs", sa.Integer))
    _index_jobs()
    _deletions()


def _index_jobs() -> None:
    op.drop_index("ix_jobs_status", "jobs")  # the one with `finished_at` answers the same
    op.create_index("ix_jobs_status_finished", "jobs", ["status", "finished_at"])
    op.create_index("ix_jobs_owner_status", "jobs", ["owner", "status"])
    for name, column, condition in (
        ("ix_jobs_audio", "finished_at", "audio_bytes > 0"),
        ("ix_jobs_unmeasured", "id", "bytes IS NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "jobs", [column], sqlite_where=where, postgresql_where=where)


def _deletions() -> None:
    op.create_table(
        "deletions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deletions"),
    )
    op.create_index("ix_deletions_created", "deletions", ["created_at", "id"])
    op.create_index("ix_deletions_subject", "deletions", ["subject"])


def downgrade() -> None:
    op.drop_table("deletions")
    for name in ("unmeasured", "audio", "owner_status", "status_finished"):
        op.drop_index(f"ix_jobs_{name}", "jobs")
    op.create_index("ix_jobs_status", "jobs", ["status"])
    for column in ("max_jobs", "max_bytes"):
        op.drop_column("api_keys", column)
    for column in ("audio_expired_at", "audio_bytes"):
        op.drop_column("jobs", column)
    for table in ("jobs", "models", "corpora"):
        op.drop_index(f"ix_{table}_owner_bytes", table)
        op.drop_column(table, "bytes")
