"""Who asks: bearer tokens (JWT) checked as RFC 8725 advises, and remembered until they expire."""

import base64
import json
import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Struct

from shortlist.errors import ShortlistError
from shortlist.events.event import MAX_ID_BYTES
from shortlist.gateway.keys import KeyFiles
from shortlist.settings import AuthSettings

MAX_TOKEN_BYTES = 8_192  # what proxies let through in one header; a token has a few hundred
LOOK_AGAIN_S = 1.0  # how soon changed keys are seen
SERVICE_SCOPES = frozenset({"admin", "service"})


class TokenRefused(ShortlistError):
    """No token, or one that does not hold."""


class SignatureWrong(TokenRefused):
    """Another key signed the token, or somebody changed it."""


class NotAllowed(ShortlistError):
    """The token holds, but not for this."""


class Caller(Struct, frozen=True):
    """Whom a token speaks for."""

    subject: str
    scopes: frozenset[str]
    expires_s: float  # seconds since 1970, leeway included
    is_service: bool  # scope admin or service: any user's data

    def require_own(self, user_id: str) -> None:
        """Raises NotAllowed unless the caller may speak for this user."""
        if user_id != self.subject and not self.is_service:
            raise NotAllowed(
                "the token is another user's: ask for its own subject, or use one with scope admin or service"
            )

    def require_service(self) -> None:
        """Raises NotAllowed unless the caller is the shop itself."""
        if not self.is_service:
            raise NotAllowed("this needs a token with scope admin or service")


class Authority:
    """Turns the Authorization header into a `Caller`. Threads may share it.

    Accepted tokens are remembered by their bytes: bounded, never beyond their expiry, and forgotten when keys
    change. Refused ones are not remembered, a flood of them must not push out the good.
    """

    def __init__(
        self,
        keys: KeyFiles,
        settings: AuthSettings,
        *,
        clock: Callable[[], float] = time.time,
        max_remembered: int = 50_000,
    ) -> None:
        """clock: seconds since 1970."""
        self._keys, self._settings, self._clock, self._max = keys, settings, clock, max_remembered
        self._remembered: dict[bytes, Caller] = {}
        self._changing = Lock()  # of what is remembered
        self._generation = keys.generation
        self._look_again_s = 0.0

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller behind a header's value that was accepted before and still holds; costs 0.3 µs."""
        now_s = self._clock()
        if now_s >= self._look_again_s:
            self._look_again(now_s)
        caller = self._remembered.get(authorization)  # type: ignore[arg-type]  # None is never a key
        return caller if caller is not None and caller.expires_s > now_s else None

    def caller(self, authorization: bytes | None) -> Caller:
        """The caller behind a header's value. Raises TokenRefused."""
        if authorization is None:
            raise TokenRefused("no token: send `Authorization: Bearer <token>`")
        known = self.known(authorization)
        if known is not None:
            return known
        generation, keys = self._generation, self._keys.keys
        try:
            caller = check(_token(authorization), keys.hs256, keys.rs256, self._settings, self._clock())
        except SignatureWrong as wrong:
            raise (SignatureWrong(f"{wrong}: {self._keys.hint}") if self._keys.hint else wrong) from None
        with self._changing:
            if generation == self._generation:  # else other keys hold by now
                if len(self._remembered) >= self._max:
                    self._forget_some()
                self._remembered[authorization] = caller
        return caller

    def _look_again(self, now_s: float) -> None:
        with self._changing:
            if now_s < self._look_again_s:  # another thread did
                return
            self._look_again_s = now_s + LOOK_AGAIN_S
            self._keys.look_again()
            if self._keys.generation != self._generation:
                self._generation = self._keys.generation
                self._remembered.clear()

    def _forget_some(self) -> None:
        now = self._clock()
        self._remembered = {k: c for k, c in self._remembered.items() if c.expires_s > now}
        # A tenth at once, so that a flood of new tokens does not pay for this walk each time.
        for key in list(self._remembered)[: len(self._remembered) - self._max * 9 // 10]:
            del self._remembered[key]


def _token(authorization: bytes) -> str:
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise TokenRefused("the Authorization header must be `Bearer <token>`")
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(f"a token of {len(token)} bytes: at most {MAX_TOKEN_BYTES} are read")
    try:
        return token.decode("ascii")
    except UnicodeDecodeError:
        raise TokenRefused("the token holds bytes that no token has") from None


def check(
    token: str,
    hs256: bytes | None,
    rs256: dict[str, RSAPublicKey],
    settings: AuthSettings,
    now_s: float,
) -> Caller:
    """The caller of a token. Raises TokenRefused saying why, without repeating the token.

    The key decides the algorithm. Key material or addresses inside the token (jwk, jku, x5u, x5c) are
    never looked at. Source: RFC 8725, sections 3.1 to 3.12.
    """
    header, claims = _segments(token)
    if "crit" in header:
        raise TokenRefused("the token demands extensions (crit) that are not known here")
    key, algorithm = _key(header, hs256, rs256)
    try:
        jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=settings.issuer or None,
            audience=settings.audience or None,
            # Times are checked below by the clock that was passed in.
            options={
                "require": ["exp", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise SignatureWrong("the token's signature does not fit this server's key") from None
    except jwt.InvalidTokenError as error:
        raise TokenRefused(f"the token does not hold: {error}") from None
    expires_s = _times(claims, settings.leeway_s, now_s)
    subject, scopes = claims["sub"], _scopes(claims)
    if not isinstance(subject, str) or not 0 < len(subject.encode(errors="replace")) <= MAX_ID_BYTES:
        raise TokenRefused(f"the token's sub must be a string of 1 to {MAX_ID_BYTES} bytes")
    return Caller(
        subject=subject, scopes=scopes, expires_s=expires_s, is_service=not SERVICE_SCOPES.isdisjoint(scopes)
    )


def _segments(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefused("the token is no JWT of three parts")
    try:
        header, claims = (
            json.loads(
                base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True), object_pairs_hook=_once
            )
            for part in parts[:2]
        )
    except (ValueError, RecursionError):  # bad base64, UTF-8, JSON or a name that stands twice
        raise TokenRefused("the token's parts are not JSON with each name once") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenRefused("the token's parts are not JSON objects")
    return header, claims


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two parsers may choose different ones of two equal names: refuse both (RFC 8725 section 2.4)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _key(
    header: dict[str, Any], hs256: bytes | None, rs256: dict[str, RSAPublicKey]
) -> tuple[bytes | RSAPublicKey, str]:
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if not isinstance(kid, str):
        raise TokenRefused("the token's kid must be a string")
    if algorithm == "HS256" and hs256 is not None:
        return hs256, "HS256"  # one secret: a kid may stand there and chooses nothing
    if algorithm == "RS256" and rs256:
        if kid in rs256:
            return rs256[kid], "RS256"
        if not kid and len(rs256) == 1:
            return next(iter(rs256.values())), "RS256"
        raise TokenRefused("the token's kid names no key of the JWKS file")
    accepted = " or ".join(name for name, has in (("HS256", hs256), ("RS256", rs256)) if has)
    raise TokenRefused(f"the token's alg is not accepted here: use {accepted}")


def _times(claims: dict[str, Any], leeway_s: float, now_s: float) -> float:
    times: dict[str, float] = {}
    for name in ("exp", "nbf"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
            raise TokenRefused(f"the token's {name} must be a number of seconds")
        times[name] = value
    if times["exp"] + leeway_s <= now_s:
        raise TokenRefused("the token has expired: get a new one")
    if times["nbf"] - leeway_s > now_s:
        raise TokenRefused("the token is not valid yet (nbf)")
    return times["exp"] + leeway_s


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise TokenRefused("the token's scope must be a string of words with spaces between")
    return frozenset(scope.split())


def token_for(
    secret: bytes,
    subject: str,
    *,
    scopes: Iterable[str] = (),
    ttl_s: float = 3600.0,
    now_s: float,
    settings: AuthSettings | None = None,
) -> str:
    """A token signed with an HS256 secret, as `Authority` with the same settings accepts it.

    >>> token_for(b"s" * 32, "42", now_s=1_700_000_000.0).count(".")
    2
    """
    settings = settings or AuthSettings()
    claims: dict[str, Any] = {"sub": subject, "iat": int(now_s), "exp": int(now_s + ttl_s)}
    if scope := " ".join(sorted(scopes)):
        claims["scope"] = scope
    if settings.issuer:
        claims["iss"] = settings.issuer
    if settings.audience:
        claims["aud"] = settings.audience
    return jwt.encode(claims, secret, algorithm="HS256")
