"""Items with tombstones, and the counter of their changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ITEM_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To this shape."""
    op.create_table(
        "items",
        sa.Column("item_id", ITEM_ID, primary_key=True),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("categories", sa.JSON, nullable=False),
        sa.Column("brand", sa.Text),
        sa.Column("price", sa.Double),
        sa.Column("currency", sa.Text),
        sa.Column("margin", sa.Double),
        sa.Column("stock", NUMBER),
        sa.Column("image", sa.Text),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("added_ms", NUMBER, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    op.create_index("items_version", "items", ["version"], unique=True)
    counter = op.create_table(
        "catalog_version",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", NUMBER, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "version": 0}])


def downgrade() -> None:
    """Back from it."""
    op.drop_table("catalog_version")
    op.drop_table("items")
