"""Whether a request asks for something that can be, before anything is done for it."""

import msgspec

from shortlist.catalog.item import FOR_SERVICES
from shortlist.ranking.conditions import ConditionInvalid, names_in, parse
from shortlist.serving.slate import Ask, AskInvalid, RequestIds
from shortlist.settings import ServingSettings

MAX_FILTER = 2_000  # characters of a request's filter


class Asking:
    """Checks requests and fills in what they leave to the settings."""

    def __init__(self, settings: ServingSettings, ids: RequestIds) -> None:
        self._settings, self._ids = settings, ids

    def checked(self, ask: Ask) -> Ask:
        """The request with its limit and id. Raises AskInvalid naming the field."""
        if not ask.user_id:
            raise AskInvalid("user_id is empty: name the user the slate is for")
        if ask.page < 1:
            raise AskInvalid(f"page is {ask.page}: pages count from 1")
        if "\n" in ask.context or "\n" in ask.category:
            raise AskInvalid("context and category must not hold line breaks")
        if (
            not ask.request_id.isascii()
            or set(ask.request_id) & {'"', "\\"}
            or not ask.request_id.isprintable()
        ):
            raise AskInvalid("request_id holds what is no letter, digit or plain sign; leave it empty")
        check_filter(ask.filter, ask.is_shop)
        limit = self.limit(ask.limit, self._settings.limit)
        return msgspec.structs.replace(ask, limit=limit, request_id=ask.request_id or self._ids())

    def limit(self, limit: int, default: int) -> int:
        """How many items. Raises AskInvalid."""
        if not 0 <= limit <= self._settings.max_limit:
            raise AskInvalid(f"limit is {limit}: it may be 1 to {self._settings.max_limit}")
        return limit or default


def check_filter(where: str, is_shop: bool) -> None:
    """Raises AskInvalid where the filter cannot be read, or tells what the shop keeps to itself."""
    if not where:
        return
    if len(where) > MAX_FILTER:
        raise AskInvalid(f"filter: has {len(where)} characters, at most {MAX_FILTER} are read")
    try:
        condition = parse(where)
    except ConditionInvalid as error:
        raise AskInvalid(f"filter, {error}") from None
    if not is_shop and (secret := sorted(names_in(condition) & FOR_SERVICES)):
        raise AskInvalid(f"filter: {secret[0]} is known to the shop only; ask with scope service or admin")
