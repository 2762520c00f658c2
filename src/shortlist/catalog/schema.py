"""The catalog's tables, once, for every SQL engine; `migrations/` brings a database to this shape."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

# What `migrations/` ends in. Written here so that opening a database at this revision needs no Alembic
# (its import costs 0.2 s); a test holds the two equal.
HEAD = "0003"

metadata = MetaData()

# Ids are compared as bytes everywhere: SQLite does by itself, PostgreSQL is told to.
ItemId = Text().with_variant(Text(collation="C"), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")

items = Table(
    "items",
    metadata,
    Column("item_id", ItemId, primary_key=True),
    # The catalog-wide number of the change that made this row what it is: the change feed reads by it.
    Column("version", Number, nullable=False),
    # A deleted item keeps its row as a tombstone, so that readers of the feed hear of it and an old event
    # does not bring the item back.
    Column("deleted", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("brand", Text),
    Column("price", Double),
    Column("currency", Text),
    Column("margin", Double),
    Column("stock", Number),
    Column("image", Text),
    Column("hidden", Boolean, nullable=False),
    Column("added_ms", Number, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("variant_of", ItemId),
    Index("items_version", "version", unique=True),
)

# One row. Every write moves it first, which makes writers wait for each other: versions are in commit order,
# so a reader of the feed never finds a number below one it has passed.
counter = Table(
    "catalog_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Number, nullable=False),
)

# Changes that the log has not got yet: written in the transaction that makes them, deleted once the log has
# them (catalog/outbox.py). Ids rise in commit order, since every writer holds the counter's row.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("created_ms", Number, nullable=False),
    sqlite_autoincrement=True,  # an id is never given again, however empty the table was
)

# What an encoder made of an item that came, or whose words changed, after the last training run.
embeddings = Table(
    "item_embeddings",
    metadata,
    Column("item_id", ItemId, primary_key=True),
    Column("encoder", Text, nullable=False),  # its name, which tells one fitted encoder from another
    Column("digest", LargeBinary, nullable=False),  # of the words that were encoded
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
)

# The operator's rules (catalog/rule.py), each as JSON.
rules = Table(
    "rules",
    metadata,
    Column("rule_id", ItemId, primary_key=True),
    Column("rule", JSON, nullable=False),
)

# What the shop knows of its users beside what they did.
users = Table(
    "users",
    metadata,
    Column("user_id", ItemId, primary_key=True),
    Column("version", Number, nullable=False),  # the number of the change that made this row what it is
    Column("attributes", JSON, nullable=False),
    Index("users_version", "version", unique=True),
)

# The numbers of the last changes of rules and of users, a row each, moved as the catalog's own counter is.
versions = Table(
    "versions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Number, nullable=False),
)
