"""Settings: origins, unknown names, wrong types."""

from pathlib import Path

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
    with pytest.raises(SettingsError, match=r"\$\.server\.port"):
        load(tmp_path, {"SHORTLIST_SERVER__PORT": "many"})


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "shortlist.toml").write_text("[cache\n")
    with pytest.raises(SettingsError, match=r"shortlist\.toml"):
        load(tmp_path, {})
