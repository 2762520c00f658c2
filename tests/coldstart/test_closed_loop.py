"""The whole loop in small: slates, clicks by known tastes, the ledger, its decisions, and slates again."""

import asyncio

import pytest
from bench._closed_loop import PLACE, Run, closed_loop, simulated, world

from shortlist.settings import ExplorationSettings, Settings

USERS, ROUNDS = 400, 5
GOOD, BAD = 0.15, 0.003
SETTINGS = ExplorationSettings(share=0.25, promoted_share=0.6, impressions=100, limit=800)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = world(USERS, [GOOD, BAD, GOOD, BAD])
    settings = simulated(Settings(exploration=SETTINGS))
    return asyncio.run(closed_loop(made, settings, tmp_path_factory.mktemp("loop") / "home", ROUNDS))


def test_the_ledger_says_what_happened(run: Run) -> None:
    truth = run.truth
    assert sum(truth.served.values()) > 400
    for item_id, row in run.ledger.rows.items():
        happened = (truth.served, truth.seen, truth.clicks, truth.purchases)
        assert [row.served, row.impressions, row.clicks, row.purchases] == [of[item_id] for of in happened]
        assert row.positions == {PLACE: row.impressions}
    assert set(run.ledger.rows) == set(truth.served)


def test_good_items_reach_their_larger_share_and_bad_ones_stop(run: Run) -> None:
    for item_id, level in run.levels.items():
        decision = run.ledger.rows[item_id].decision
        assert decision is not None
        if level == GOOD:
            assert decision.verdict == "promoted"
            assert run.shares[item_id] == pytest.approx(0.6, abs=0.1)  # four standard deviations
        else:
            assert decision.verdict == "retired"
            assert run.shares[item_id] == 0.0
            assert run.truth.last_visit[item_id] <= run.decided_at[item_id]


def test_nobody_saw_a_new_item_more_often_than_three_times(run: Run) -> None:
    assert max(run.truth.of_pair.values()) == SETTINGS.per_user


def test_what_a_place_is_worth_is_what_it_was(run: Run) -> None:
    """The panel is one partition of eight: its clicks lie within four standard deviations."""
    shown, clicked = sum(run.ledger.shown[:10]), sum(run.ledger.clicked[:10])
    expected = sum(run.truth.place_chances.values()) / sum(run.truth.place_seen.values())
    assert shown > 100
    assert clicked / shown == pytest.approx(expected, abs=4 * (expected * (1 - expected) / shown) ** 0.5)
