"""Users' attributes as the shop writes them: stored, and followed by the user's next slate."""

from shortlist.catalog.users_store import Attributes, UserStore
from shortlist.serving.attributes import UserAttributes
from shortlist.serving.serving import Serving


class Profiles:
    """For the event loop; what other processes write is followed at the next `follow`."""

    def __init__(self, store: UserStore, known: UserAttributes, serving: Serving) -> None:
        self._store, self._known, self._serving = store, known, serving

    async def read(self, user_id: str) -> Attributes:
        """A user's attributes; empty where there are none."""
        (attributes,) = await self._store.read([user_id])
        return attributes

    async def put(self, user_id: str, attributes: Attributes) -> None:
        """Replace a user's attributes. Raises AttributesInvalid."""
        await self._store.put(user_id, attributes)
        await self.follow()
        self._known.learn(user_id, attributes)

    async def delete(self, user_id: str) -> None:
        """Forget a user's attributes."""
        await self._store.delete(user_id)
        self._known.drop(user_id)

    async def follow(self) -> None:
        """Have slates follow what was changed since the last time."""
        for user_id in await self._known.news():
            await self._serving.forget(user_id)
