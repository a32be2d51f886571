"""Large jobs are done in shards, by several workers."""

import sqlalchemy as sa
from alembic import op

from app.persistence.database import UtcDateTime

revision = "0004"
down_revision = "0003"

JSON = sa.JSON(none_as_null=True)
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "shards",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("work", JSON, nullable=False),
        sa.Column("result", JSON),
        sa.Column("error", JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("ending", sa.Boolean, nullable=False),
        sa.Column("progress_done", sa.Double, nullable=False),
        sa.Column("heartbeat_at", MOMENT),
        sa.Column("offered_at", MOMENT),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_shards"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_shards_job_id_jobs", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("shards")
