"""The keys that tokens are checked with: a secret file (HS256), a JWKS file (RS256), or a development key."""

import json
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError
from msgspec import Struct

from shortlist.home import Home
from shortlist.settings import Settings, SettingsError

log = structlog.get_logger()

MIN_SECRET_BYTES = 32  # as long as the hash, RFC 7518 section 3.2
MIN_RSA_BITS = 2048  # RFC 7518 section 3.3
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Keys(Struct, frozen=True):
    """Keys by algorithm: which algorithm may use which key is said here, never by the token."""

    hs256: bytes | None
    rs256: dict[str, RSAPublicKey]  # by kid; "" where the file gave none


class KeyFiles:
    """Keys from files, read again when the JWKS file changes. A broken new file leaves the old keys."""

    def __init__(self, secret: bytes | None, jwks: Path | None, *, hint: str = "") -> None:
        """hint: what to tell whoever brings a token that another key signed. Raises SettingsError."""
        self._jwks = jwks
        self.hint = hint
        self._stamp = _stamp(jwks) if jwks else None
        self.keys = Keys(hs256=secret, rs256=read_jwks(jwks) if jwks else {})
        self.generation = 0

    def look_again(self) -> None:
        """Read the JWKS file again if it changed; `generation` moves when keys did."""
        if self._jwks is None or (stamp := _stamp(self._jwks)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self.keys = Keys(hs256=self.keys.hs256, rs256=read_jwks(self._jwks))
        except SettingsError as error:
            log.error("jwks file unreadable, the keys before it go on", why=str(error))
            return
        self.generation += 1
        log.info("jwks read again", keys=len(self.keys.rs256))


def open_keys(home: Home, settings: Settings) -> KeyFiles:
    """The keys that the settings name; development makes its own.

    Raises SettingsError when production has none, or development would listen beyond loopback.
    """
    auth, server = settings.auth, settings.server
    if server.mode == "development" and server.host not in LOOPBACK:
        raise SettingsError(
            f"server.host is {server.host}: development mode hands out tokens to anybody and stays on "
            "127.0.0.1; set server.mode to production and give it keys"
        )
    secret = read_secret(Path(auth.hs256_secret_file)) if auth.hs256_secret_file else None
    jwks = Path(auth.jwks_file) if auth.jwks_file else None
    if secret is None and jwks is None and server.mode == "production":
        raise SettingsError(
            "production needs keys: set auth.jwks_file (RS256) or auth.hs256_secret_file (HS256)"
        )
    if secret is None and server.mode == "development":
        secret = development_key(home)
        # Each home has a key of its own, and two homes on one machine are mixed up easily.
        hint = f"was it made in another home? `shortlist token USER --home {home.path}` makes one that fits"
        return KeyFiles(secret, jwks, hint=hint)
    return KeyFiles(secret, jwks)


def signing_secret(home: Home, settings: Settings) -> bytes:
    """The secret that `shortlist token` signs with.

    Raises SettingsError where only public keys are known, HomeMissing where there is no home to have one."""
    if settings.auth.hs256_secret_file:
        return read_secret(Path(settings.auth.hs256_secret_file))
    if settings.server.mode == "production":
        raise SettingsError(
            "no secret to sign with: auth.hs256_secret_file is empty; tokens come from the identity provider "
            "whose keys are in auth.jwks_file"
        )
    return development_key(home.require())


def development_key(home: Home) -> bytes:
    """The home's own HS256 secret, made on first use and readable by its owner alone."""
    path = home.make().keys / "dev.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        # Made whole under another name, then named: of two that start at once one wins, nobody reads half.
        descriptor, made = tempfile.mkstemp(dir=path.parent)  # 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(made, path)
        Path(made).unlink()
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """The secret in a file, without the white space around it. Raises SettingsError."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"auth.hs256_secret_file: cannot read {path}: {error.strerror}") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(
            f"auth.hs256_secret_file: {path} holds {len(secret)} bytes, HS256 needs {MIN_SECRET_BYTES}; "
            "make one with `openssl rand -hex 32`"
        )
    return secret


def read_jwks(path: Path) -> dict[str, RSAPublicKey]:
    """The RSA public keys of a JWKS file by kid; other kinds are passed over. Raises SettingsError."""
    try:
        found = json.loads(path.read_bytes())
        entries = found["keys"]
        keys = {entry.get("kid", ""): _rsa(entry) for entry in entries if _is_for_signatures(entry)}
    except OSError as error:
        raise SettingsError(f"auth.jwks_file: cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, InvalidKeyError) as error:
        raise SettingsError(f"auth.jwks_file: {path} is no JWKS document: {error}") from None
    if not keys:
        raise SettingsError(f"auth.jwks_file: {path} holds no RSA key for RS256")
    return keys


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    """A symmetric key ("oct") in a public document would be a secret that everybody knows."""
    is_fit = entry.get("use", "sig") == "sig" and entry.get("alg", "RS256") == "RS256"
    return entry.get("kty") == "RSA" and is_fit


def _rsa(entry: dict[str, Any]) -> RSAPublicKey:
    key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": entry["n"], "e": entry["e"]})
    assert isinstance(key, RSAPublicKey)
    if key.key_size < MIN_RSA_BITS:
        raise ValueError(f"key {entry.get('kid')!r} has {key.key_size} bits, RS256 needs {MIN_RSA_BITS}")
    return key


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
