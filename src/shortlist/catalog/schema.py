"""The catalog's tables, once, for every SQL engine; `migrations/` brings a database to this shape."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text

# What `migrations/` ends in. Written here so that opening a database at this revision needs no Alembic
# (its import costs 0.2 s); a test holds the two equal.
HEAD = "0001"

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
