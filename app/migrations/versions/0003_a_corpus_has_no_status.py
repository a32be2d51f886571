"""A corpus has no status: it is there whole, or it is not there."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_column("corpora", "status")


def downgrade() -> None:
    op.add_column(
        "corpora", sa.Column("status", sa.String(16), nullable=False, server_default="ready")
    )
