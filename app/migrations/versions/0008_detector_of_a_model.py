"""The detector of adversarial clips that is attached to a model."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("models", sa.Column("detector", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("models", "detector")
