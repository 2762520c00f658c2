"""An outbox for changes, embeddings of items, and items that are variants of another."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ITEM_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To this shape."""
    op.add_column("items", sa.Column("variant_of", ITEM_ID))
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "item_embeddings",
        sa.Column("item_id", ITEM_ID, primary_key=True),
        sa.Column("encoder", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Back from it."""
    op.drop_table("item_embeddings")
    op.drop_table("outbox")
    op.drop_column("items", "variant_of")
