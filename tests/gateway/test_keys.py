"""Keys: development makes its own, production refuses to start without."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shortlist.gateway.keys import development_key, open_keys, read_jwks, signing_secret
from shortlist.home import Home
from shortlist.settings import AuthSettings, ServerSettings, Settings, SettingsError

PRODUCTION = ServerSettings(mode="production")


def test_development_makes_a_key_once_for_its_owner_alone(home: Home) -> None:
    first = open_keys(home, Settings()).keys.hs256
    path = home.keys / "dev.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700
    assert open_keys(home, Settings()).keys.hs256 == first == development_key(home)
    assert [p.name for p in home.keys.iterdir()] == ["dev.key"]


def test_production_without_keys_names_the_settings(home: Home) -> None:
    with pytest.raises(SettingsError, match=r"auth\.jwks_file.*auth\.hs256_secret_file"):
        open_keys(home, Settings(server=PRODUCTION))
    assert not home.keys.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "shop.example"])
def test_development_stays_on_loopback(home: Home, host: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.host"):
        open_keys(home, Settings(server=ServerSettings(host=host)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_development_starts_on_loopback(home: Home, host: str) -> None:
    assert open_keys(home, Settings(server=ServerSettings(host=host))).keys.hs256


def test_a_short_secret_is_refused(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("short\n")
    auth = AuthSettings(hs256_secret_file=str(path))
    with pytest.raises(SettingsError, match="5 bytes, HS256 needs 32"):
        open_keys(home, Settings(server=PRODUCTION, auth=auth))


def test_a_missing_secret_file_is_named(home: Home) -> None:
    auth = AuthSettings(hs256_secret_file="/nowhere/secret")
    with pytest.raises(SettingsError, match="/nowhere/secret"):
        open_keys(home, Settings(server=PRODUCTION, auth=auth))


def entry(bits: int = 2048, **more: Any) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    return {**RSAAlgorithm.to_jwk(key, as_dict=True), **more}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JWKS"),
        ("[]", "no JWKS"),
        ('{"keys":[7]}', "no JWKS"),
        ('{"keys":[]}', "no RSA key"),
        ('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', "no RSA key"),
        (json.dumps({"keys": [entry(1024, kid="weak")]}), "1024 bits"),
        (json.dumps({"keys": [entry(use="enc")]}), "no RSA key"),
        (json.dumps({"keys": [entry(alg="RS512")]}), "no RSA key"),
    ],
)
def test_what_is_no_key_file_is_refused_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=why):
        read_jwks(path)


def test_keys_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{"kty": "EC", "kid": "e"}, entry(kid="r")]}))
    assert list(read_jwks(path)) == ["r"]


def test_production_with_public_keys_only_signs_nothing(home: Home, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="identity provider"):
        signing_secret(home, Settings(server=PRODUCTION, auth=AuthSettings(jwks_file=str(tmp_path / "k"))))
