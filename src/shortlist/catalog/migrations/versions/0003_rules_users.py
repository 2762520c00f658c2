"""The operator's rules, users' attributes, and the counters of their changes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To this shape."""
    op.create_table(
        "rules",
        sa.Column("rule_id", ID, primary_key=True),
        sa.Column("rule", sa.JSON, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    op.create_index("users_version", "users", ["version"], unique=True)
    counters = op.create_table(
        "versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", NUMBER, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "rules", "version": 0}, {"name": "users", "version": 0}])


def downgrade() -> None:
    """Back from it."""
    op.drop_table("versions")
    op.drop_table("users")
    op.drop_table("rules")
