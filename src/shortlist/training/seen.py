"""What each user ever interacted with, out of a history: what batch jobs leave out."""

import numpy as np

from shortlist.arrays import IntArray
from shortlist.training.history import History
from shortlist.training.sessions import IS_INTERACTION


class SeenItems:
    """By user id. The log remembers more than the feature store, which keeps the last of them."""

    def __init__(self, history: History) -> None:
        seen = IS_INTERACTION[history.types] & (history.items >= 0)
        users = history.users[seen]
        self._items = history.items[seen]
        # A user's rows stand together.
        firsts = np.flatnonzero(np.diff(users, prepend=-1))
        ends = np.append(firsts[1:], len(users))
        self._rows = {
            history.user_ids[user]: (start, end)
            for user, start, end in zip(users[firsts].tolist(), firsts.tolist(), ends.tolist(), strict=True)
        }

    def of(self, user_id: str) -> IntArray:
        """Positions of a user's items, ascending, each once; none of somebody the log does not know."""
        found: IntArray = np.unique(self._items[slice(*self._rows.get(user_id, (0, 0)))])
        return found
