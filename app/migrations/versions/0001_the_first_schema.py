"""The first schema: keys, corpora, jobs with their events, models."""

import sqlalchemy as sa
from alembic import op

from app.persistence.database import UtcDateTime

revision = "0001"
down_revision = None

JSON = sa.JSON(none_as_null=True)
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    _keys()
    _corpora()
    _jobs()
    _job_events()
    _models()


def _keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )


def _corpora() -> None:
    op.create_table(
        "corpora",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("clips", sa.Integer, nullable=False),
        sa.Column("classes", JSON, nullable=False),
        sa.Column("speakers", sa.Integer, nullable=False),
        sa.Column("partitions", JSON, nullable=False),
        sa.Column("skipped", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corpora"),
    )
    op.create_index("ix_corpora_owner_created", "corpora", ["owner", "created_at", "id"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("model", sa.String(100)),
        sa.Column("request", JSON, nullable=False),
        sa.Column("result", JSON),
        sa.Column("error", JSON),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("progress_done", sa.Double, nullable=False),
        sa.Column("progress_total", sa.Double),
        sa.Column("progress_unit", sa.String(32)),
        sa.Column("progress_eta", sa.Double),
        sa.Column("heartbeat_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("enqueued_at", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("parent_id", sa.String(40)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["jobs.id"], name="fk_jobs_parent_id_jobs", ondelete="SET NULL"
        ),
        sa.UniqueConstraint(
            "owner", "kind", "idempotency_key", name="uq_jobs_owner_kind_idempotency_key"
        ),
    )
    op.create_index("ix_jobs_owner_created", "jobs", ["owner", "created_at", "id"])
    op.create_index("ix_jobs_parent_id", "jobs", ["parent_id"])
    op.create_index("ix_jobs_status", "jobs", ["status"])


def _job_events() -> None:
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("seq", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_events_job_id_jobs", ondelete="CASCADE"
        ),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("architecture", sa.String(32), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("training_id", sa.String(40)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.ForeignKeyConstraint(
            ["training_id"], ["jobs.id"], name="fk_models_training_id_jobs", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_models_owner_created", "models", ["owner", "created_at", "id"])


def downgrade() -> None:
    for table in ("models", "job_events", "jobs", "corpora", "api_keys"):
        op.drop_table(table)
