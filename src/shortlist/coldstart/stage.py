"""How much of a new user's slate explores: one table by interactions and days (flow 9)."""

from dataclasses import dataclass

from shortlist.features.store import Features
from shortlist.settings import ColdStartSettings, SettingsError

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Row:
    """From so many interactions and so many days on, this share of a slate explores."""

    interactions: int
    days: float
    share: float


def table(text: str) -> tuple[Row, ...]:
    """The rows of `coldstart.stages`. Raises SettingsError naming the row that is none.

    >>> table("0 0 0.7; 10 0 0")
    (Row(interactions=0, days=0.0, share=0.7), Row(interactions=10, days=0.0, share=0.0))
    """
    rows = []
    for line in filter(str.strip, text.split(";")):
        try:
            interactions, days, share = line.split()
            row = Row(int(interactions), float(days), float(share))
        except ValueError:
            raise SettingsError(
                f"coldstart.stages: {line.strip()!r} is no row; write interactions, days and share: 0 7 0.3"
            ) from None
        if not 0.0 <= row.share <= 1.0 or row.interactions < 0 or not row.days >= 0.0:
            raise SettingsError(
                f"coldstart.stages: {line.strip()!r}: a share is 0 to 1, the others at least 0"
            )
        rows.append(row)
    return tuple(rows)


class Stages:
    """Whose slates explore, and how much. Raises SettingsError when the table is none."""

    def __init__(self, settings: ColdStartSettings) -> None:
        self.settings, self.rows = settings, table(settings.stages)

    def share(self, user: Features, now_ms: int) -> float:
        """The share of this user's slate that explores, 0 to 1: of the last row that applies.

        A user's days count from the first thing they did, the survey included."""
        explores = self.settings.explores
        if explores == "off" or (explores == "answered" and not user.answered_ts):
            return 0.0
        days = (now_ms - user.first_ts) / DAY_MS if user.first_ts else 0.0
        interactions = user.interaction_count
        fits = [row.share for row in self.rows if interactions >= row.interactions and days >= row.days]
        return fits[-1] if fits else 0.0

    def is_first(self, user: Features) -> bool:
        """Whether nothing personal can be said yet of somebody who is known to be new."""
        return not user.interaction_count and (bool(user.answered_ts) or self.settings.explores == "everyone")
