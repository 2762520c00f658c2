"""The catalog's database, opened: items, the operator's rules, users' attributes and what goes with them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from shortlist.catalog.embeddings import Embeddings
from shortlist.catalog.outbox import Outbox
from shortlist.catalog.rule import Rule
from shortlist.catalog.rules_store import RuleStore
from shortlist.catalog.store import CatalogStore
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import Attributes, UserStore
from shortlist.home import Home
from shortlist.settings import Settings


def catalog(settings: Settings, home: Home) -> AbstractAsyncContextManager[CatalogStore]:
    """The items alone, for commands; the schema brought up to date."""
    from shortlist.catalog.store_sql import open_sql

    home.make()
    return open_sql(settings.catalog.url, home.catalog)


@dataclass(frozen=True, slots=True)
class CatalogStores:
    """What the catalog's database holds, by what it is for."""

    items: CatalogStore
    rules: RuleStore
    users: UserStore
    outbox: Outbox
    embeddings: Embeddings


@asynccontextmanager
async def catalog_stores(settings: Settings, home: Home) -> AsyncIterator[CatalogStores]:
    """Everything in the catalog's database, its schema brought up to date."""
    from shortlist.catalog.embeddings_sql import SqlEmbeddings
    from shortlist.catalog.engine import open_engine
    from shortlist.catalog.outbox_sql import SqlOutbox
    from shortlist.catalog.rules_store_sql import SqlRules
    from shortlist.catalog.store_sql import SqlCatalog
    from shortlist.catalog.users_store_sql import SqlUsers

    home.make()
    async with open_engine(settings.catalog.url, home.catalog) as engine:
        yield CatalogStores(
            SqlCatalog(engine),
            SqlRules(engine),
            SqlUsers(engine),
            SqlOutbox(engine),
            SqlEmbeddings(engine),
        )


async def table_of(items: CatalogStore, order: Sequence[str] = ()) -> ItemTable:
    """The catalog as a table. order: ids that take the first positions."""
    # The version first: what changes while items are read is among the changes since.
    version = await items.version()
    return ItemTable([item async for item in items.all()], version, order)


async def item_table(settings: Settings, home: Home, order: Sequence[str] = ()) -> ItemTable:
    """The same, for commands that need it once."""
    async with catalog(settings, home) as items:
        return await table_of(items, order)


async def rules_of(settings: Settings, home: Home) -> list[Rule]:
    """The operator's rules, for commands."""
    async with catalog_stores(settings, home) as stores:
        return (await stores.rules.rules())[1]


async def attributes_of(settings: Settings, home: Home, user_ids: Sequence[str]) -> dict[str, Attributes]:
    """Attributes of those of these users who have any, for commands."""
    async with catalog_stores(settings, home) as stores:
        if not await stores.users.version():
            return {}
        found = zip(user_ids, await stores.users.read(user_ids), strict=True)
        return {user_id: attributes for user_id, attributes in found if attributes}
