"""Users' attributes in the catalog's own database."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from shortlist.catalog.engine import chunks, named_errors
from shortlist.catalog.schema import users, versions
from shortlist.catalog.users_store import NOTHING, Attributes, UserStore, checked

COUNTER = "users"


class SqlUsers(UserStore):
    """One row per user who has attributes."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        new = dialect.insert(users)
        self._upsert = new.on_conflict_do_update(
            index_elements=[users.c.user_id],
            set_={"version": new.excluded.version, "attributes": new.excluded.attributes},
        )

    async def put(self, user_id: str, attributes: Attributes) -> int:  # noqa: D102
        checked(attributes)
        moved = update(versions).where(versions.c.name == COUNTER).values(version=versions.c.version + 1)
        with named_errors():
            async with self._engine.begin() as connection:
                version = int((await connection.execute(moved.returning(versions.c.version))).scalar_one())
                row = {"user_id": user_id, "version": version, "attributes": dict(attributes)}
                await connection.execute(self._upsert, [row])
                return version

    async def read(self, user_ids: Sequence[str]) -> list[Attributes]:  # noqa: D102
        found: dict[str, Attributes] = {}
        with named_errors():
            async with self._engine.connect() as connection:
                for chunk in chunks(user_ids):
                    query = select(users.c.user_id, users.c.attributes).where(users.c.user_id.in_(chunk))
                    found |= {row[0]: row[1] for row in await connection.execute(query)}
        return [found.get(user_id, NOTHING) for user_id in user_ids]

    async def delete(self, user_id: str) -> None:  # noqa: D102
        with named_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(users).where(users.c.user_id == user_id))

    async def version(self) -> int:  # noqa: D102
        query = select(versions.c.version).where(versions.c.name == COUNTER)
        with named_errors():
            async with self._engine.connect() as connection:
                return int((await connection.execute(query)).scalar_one())

    async def changed(self, after: int, limit: int) -> list[tuple[int, str]]:  # noqa: D102
        query = select(users.c.version, users.c.user_id).where(users.c.version > after)
        with named_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(query.order_by(users.c.version).limit(limit))
                return [(row[0], row[1]) for row in rows]
