"""Settings: origins, unknown names, wrong types."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shortlist.settings import Settings, SettingsError, load


def test_defaults_hold_without_file_and_environment(tmp_path: Path) -> None:
    settings, rows = load(tmp_path, {})
    assert settings == Settings()
    assert {row.origin for row in rows} == {"default"}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "shortlist.toml").write_text("[cache]\nttl_s = 60\npool = 50\n")
    settings, rows = load(tmp_path, {"SHORTLIST_CACHE__TTL_S": "30"})
    assert (settings.cache.ttl_s, settings.cache.pool) == (30.0, 50)
    origins = {row.name: row.origin for row in rows}
    assert origins["cache.ttl_s"] == "SHORTLIST_CACHE__TTL_S"
    assert origins["cache.pool"].endswith("shortlist.toml")


def test_an_unknown_name_stops_and_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"SHORTLIST_CACHE__TTL: no setting cache\.ttl; did you mean cache\.ttl_s"
    ):
        load(tmp_path, {"SHORTLIST_CACHE__TTL": "30"})


def test_a_wrong_type_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError,
        match=r'SHORTLIST_SERVER__PORT: server\.port must be a whole number from 0 to 65535, not "many"',
    ):
        load(tmp_path, {"SHORTLIST_SERVER__PORT": "many"})


def test_a_value_that_is_none_of_the_choices_gets_the_list(tmp_path: Path) -> None:
    (tmp_path / "shortlist.toml").write_text('[server]\nmode = "prod"\n')
    with pytest.raises(SettingsError) as bad:
        load(tmp_path, {})
    file = tmp_path / "shortlist.toml"
    assert str(bad.value) == f'{file}: server.mode must be one of development, production, not "prod"'


ANY = {("rules", "min_margin")}  # below 0: what is sold at a loss, too


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SHORTLIST_CACHE_TTL_S", "did you mean SHORTLIST_CACHE__TTL_S?"),
        ("SHORTLIST_HOMES", "did you mean SHORTLIST_HOME?"),
        ("SHORTLIST_ZZZZ", "see `shortlist settings`"),
    ],
)
def test_a_variable_that_is_none_of_ours_stops_and_suggests_the_nearest(
    tmp_path: Path, name: str, meant: str
) -> None:
    with pytest.raises(SettingsError, match="two underscores") as bad:
        load(tmp_path, {name: "30"})
    assert str(bad.value).startswith(f"{name}: no such variable; {meant}")


def test_plain_variables_and_other_programs_are_left_alone(tmp_path: Path) -> None:
    environ = {"SHORTLIST_HOME": "x", "SHORTLIST_DATA": "y", "SHORTLISTED": "1", "PATH": "z"}
    assert load(tmp_path, environ)[0] == Settings()


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "shortlist.toml").write_text("[cache\n")
    with pytest.raises(SettingsError, match=r"shortlist\.toml"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CANDIDATES__POOL", "-1"),
        ("CANDIDATES__ALS", "-1"),
        ("CACHE__POOL", "0"),
        ("CACHE__TTL_S", "-5"),
        ("SERVING__LIMIT", "-3"),
        ("SERVING__BUDGET_MS", "0"),
        ("LOG__MAX_WAITING_EVENTS", "-1"),
        ("FEATURES__HISTORY", "0"),
        ("TRAINING__FACTORS", "0"),
    ],
)
def test_numbers_that_nothing_can_work_with_are_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"SHORTLIST_{name}: \S+ must be a (whole )?number"):
        load(tmp_path, {f"SHORTLIST_{name}": value})


def test_every_number_but_a_weight_has_a_range() -> None:
    """A setting that may be anything is one that can turn serving into nonsense without a word."""
    for section in msgspec.structs.fields(Settings):
        declared: Any = msgspec.inspect.type_info(section.type)
        for one in declared.fields:
            number = one.type.type if isinstance(one.type, msgspec.inspect.Metadata) else one.type
            if isinstance(number, msgspec.inspect.IntType | msgspec.inspect.FloatType):
                bounds = (number.ge, number.gt, number.le, number.lt)
                may_be_any = section.name == "weights" or (section.name, one.name) in ANY
                assert may_be_any or any(bound is not None for bound in bounds), f"{section.name}.{one.name}"
