"""How much of a slate explores."""

import pytest

from shortlist.coldstart.stage import DAY_MS, Stages
from shortlist.features.store import Features
from shortlist.settings import ColdStartSettings, SettingsError

NOW = 1_700_000_000_000


def user(interactions: int, *, days: float = 1.0, answered: bool = True) -> Features:
    since = NOW - int(days * DAY_MS)
    return Features(interaction_count=interactions, first_ts=since, answered_ts=since if answered else 0)


def share(user: Features, **settings: str) -> float:
    return Stages(ColdStartSettings(**settings)).share(user, NOW)  # type: ignore[arg-type]


def test_seventy_percent_at_first_less_with_every_few_clicks_none_after_ten() -> None:
    shares = [share(user(n)) for n in range(12)]
    assert (shares[0], shares[9:]) == (0.7, [0.3, 0.0, 0.0])
    assert shares == sorted(shares, reverse=True)


def test_thirty_percent_after_seven_days_and_still_none_after_ten_interactions() -> None:
    assert [share(user(n, days=7.1)) for n in (0, 3, 9, 10)] == [0.3, 0.3, 0.3, 0.0]


def test_who_explores_is_a_setting() -> None:
    stranger = Features()
    assert share(stranger) == 0.0
    assert share(stranger, explores="everyone") == 0.7
    assert share(user(0), explores="off") == 0.0
    assert Stages(ColdStartSettings(explores="off")).is_first(user(0))
    assert not Stages(ColdStartSettings()).is_first(stranger)
    assert not Stages(ColdStartSettings(explores="everyone")).is_first(user(1))


@pytest.mark.parametrize("rows", ["0 0", "0 0 1.5", "a b c", "0 0 0.5; -1 0 0.2", "0 nan 0.2"])
def test_a_row_that_is_none_stops_the_start_and_is_named(rows: str) -> None:
    with pytest.raises(SettingsError, match=r"coldstart\.stages"):
        Stages(ColdStartSettings(stages=rows))
