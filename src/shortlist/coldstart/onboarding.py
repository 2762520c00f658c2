"""Onboarding's writing half: answers and logins become events in the log (flow 9)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from shortlist.catalog.table import ItemTable
from shortlist.coldstart import guests, profile
from shortlist.events.enrich import unique_id
from shortlist.events.event import Event, encode
from shortlist.events.log import EVENTS, EventLog, Record


class Onboarding:
    """For the event loop; what blocks runs on threads."""

    def __init__(self, log: EventLog, features: guests.KnowsGuests, table: Callable[[], ItemTable]) -> None:
        """table: the live items."""
        self._log, self._features, self._table = log, features, table

    async def submit(
        self,
        user_id: str,
        categories: Sequence[str],
        ratings: Mapping[str, float],
        *,
        skipped: bool,
        event_id: str | None,
        now_ms: int,
    ) -> Event:
        """Log the answers to the survey; the event, once it is durable. The latest answer stands.

        Raises AnswersInvalid and LogUnavailable, with nothing kept."""
        event = profile.preferences(
            user_id=user_id,
            categories=categories,
            ratings=ratings,
            skipped=skipped,
            table=self._table(),
            event_id=event_id or unique_id(now_ms),
            now_ms=now_ms,
        )
        await self._append(event)
        return event

    async def merge(self, user_id: str, guest: str, *, now_ms: int) -> Event | None:
        """Log that a guest is this user from now on, with what the guest did; the event, once it is durable.
        None where the guest did nothing. Said again it brings what came since, and nothing twice.

        A guest becomes one user: the first login stands. Raises MergeInvalid, GuestTaken and LogUnavailable,
        with nothing of the guest's told."""
        look = partial(guests.guest_of, self._log, self._features, guest, now_ms=now_ms)
        known = await asyncio.to_thread(look)
        last = known.past[-1].offset if known.past else -1
        event_id = f"merge:{guest}:{last}"[-1024:]
        event = guests.merge(user_id, guest, known.past, event_id=event_id, now_ms=now_ms)
        became = known.became
        if not became and known.past:
            login = guests.login(guest, user_id, event_id=unique_id(now_ms), now_ms=now_ms)
            ((_, offset),) = await self._append(login)
            # Two at once both find nobody: of their logins the log's order decides.
            became = await asyncio.to_thread(guests.became_within, self._log, guest, known.end, offset + 1)
        if became not in ("", user_id):
            raise guests.GuestTaken(guest)
        if not known.past:
            return None
        await self._append(event)
        return event

    async def _append(self, event: Event) -> list[tuple[int, int]]:
        return await self._log.append(EVENTS, [Record(event.user_id, encode(event))])
