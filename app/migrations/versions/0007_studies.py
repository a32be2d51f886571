"""A study is a job that is done by the trainings and audits that it causes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "study_tasks",
        sa.Column("study_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("cell", sa.String(200), nullable=False),
        sa.Column("partition", sa.String(8)),
        sa.Column("needs", JSON, nullable=False),
        sa.Column("work", JSON, nullable=False),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("identity", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(40)),
        sa.Column("reused", sa.Boolean, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("model", sa.String(100)),
        sa.Column("seconds", sa.Double),
        sa.Column("error", JSON),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_study_tasks"),
        sa.UniqueConstraint("study_id", "name", name="uq_study_tasks_study_id_name"),
        sa.ForeignKeyConstraint(
            ["study_id"], ["jobs.id"], name="fk_study_tasks_study_id_jobs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_study_tasks_job_id_jobs", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_study_tasks_job_id", "study_tasks", ["job_id"])
    op.create_index("ix_study_tasks_identity", "study_tasks", ["identity"])


def downgrade() -> None:
    op.drop_table("study_tasks")
