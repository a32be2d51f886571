"""How many files of a corpus were skipped, by reason."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    counts = sa.Column(
        "skipped_counts", sa.JSON(none_as_null=True), nullable=False, server_default="{}"
    )
    op.add_column("corpora", counts)


def downgrade() -> None:
    op.drop_column("corpora", "skipped_counts")
