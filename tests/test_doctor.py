"""The doctor names what is wrong and what to do about it."""

from typing import Any

import msgspec
import pytest

from shortlist.doctor import Facts, diagnose
from shortlist.settings import CandidateSettings, RuleSettings, Settings

HEALTHY = Facts(
    items=100, servable=90, hidden=5, out_of_stock=5, below_margin=0.1, without_title=0.0,
    without_category=0.0, largest_category=0.2, events=10_000, users=500, interactions_per_user=20.0, lag=0,
    fold_problem=None,
    model_version="3", model_error=None, model_age_days=1.0, is_behind=True, items_since_training=0,
    has_ranker=True,
)  # fmt: skip


def test_a_healthy_shop_has_nothing_to_fix() -> None:
    assert {finding.level for finding in diagnose(HEALTHY, Settings())} == {"fine"}


@pytest.mark.parametrize(
    ("change", "level", "said", "fix"),
    [
        ({"items": 0}, "bad", "catalog is empty", "import"),
        ({"servable": 0}, "bad", "may be shown", "stock"),
        ({"below_margin": 0.9}, "poor", "rules.min_margin", "rules.min_margin"),
        ({"without_category": 0.8}, "poor", "no category", "--items"),
        ({"largest_category": 0.95}, "poor", "share one category", "rules.max_per_category"),
        ({"without_title": 0.8}, "poor", "no title", "--items"),
        ({"events": 0}, "bad", "log is empty", "import"),
        ({"lag": 9}, "poor", "9 events are not folded", "serve"),
        ({"fold_problem": "folded otherwise"}, "bad", "Folded otherwise", "shortlist rebuild"),
        ({"users": 3}, "poor", "little to learn", "history"),
        ({"model_version": None}, "bad", "No model", "train"),
        ({"model_error": "ranker.onnx fails its checksum"}, "bad", "does not load", "rollback"),
        ({"model_age_days": 30.0}, "poor", "30 days old", "train"),
        ({"items_since_training": 50}, "poor", "50 items", "train"),
    ],
)
def test_each_trouble_is_named_with_its_fix(change: dict[str, Any], level: str, said: str, fix: str) -> None:
    findings = diagnose(msgspec.structs.replace(HEALTHY, **change), Settings())
    worst = findings[0]
    assert (worst.level, said in worst.said, fix in worst.fix) == (level, True, True), worst


def test_settings_that_empty_lists_are_named() -> None:
    names = set(CandidateSettings.__struct_fields__) - {"deadline_ms", "pool"}
    off = msgspec.convert(dict.fromkeys(names, 0), CandidateSettings)
    settings = Settings(candidates=off)
    assert diagnose(HEALTHY, settings)[0].said == "Every candidate source is turned off."


def test_rules_that_are_off_are_not_blamed() -> None:
    facts = msgspec.structs.replace(HEALTHY, below_margin=0.9)
    assert {f.level for f in diagnose(facts, Settings(rules=RuleSettings(enabled=False)))} == {"fine"}
