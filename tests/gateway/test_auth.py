"""Tokens: what RFC 8725 warns of is refused, quickly, without a word of the token in the answer."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shortlist.gateway.auth import Authority, Caller, NotAllowed, TokenRefused, token_for
from shortlist.gateway.keys import KeyFiles
from shortlist.settings import AuthSettings

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000.0
GOOD = {"sub": "42", "exp": int(NOW) + 3600, "iss": "https://id.example", "aud": "shop"}
SETTINGS = AuthSettings(issuer="https://id.example", audience="shop")
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


def jwks(path: Path, *keys: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"keys": keys}))
    return path


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return jwks(tmp_path_factory.mktemp("keys") / "jwks.json", jwk(PRIVATE, "k1"), jwk(OTHER, "k2"))


@pytest.fixture
def authority(key_file: Path) -> Authority:
    return Authority(KeyFiles(SECRET, key_file), SETTINGS, clock=lambda: NOW)


def ask(authority: Authority, token: str | bytes) -> Caller:
    return authority.caller(b"Bearer " + (token.encode() if isinstance(token, str) else token))


def hs(claims: dict[str, Any] | None = None, secret: bytes = SECRET, **header: Any) -> str:
    return jwt.encode(claims or GOOD, secret, algorithm="HS256", headers=header or None)


def rs(claims: dict[str, Any] | None = None, key: rsa.RSAPrivateKey = PRIVATE, **header: Any) -> str:
    return jwt.encode(claims or GOOD, key, algorithm="RS256", headers=header or None)


def raw(header: str, claims: str, secret: bytes = SECRET) -> str:
    """A token from JSON texts, signed with HS256 whatever they say."""
    first, second = (base64.urlsafe_b64encode(t.encode()).rstrip(b"=") for t in (header, claims))
    body = first + b"." + second
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(body, secret)
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


CLAIMS = json.dumps(GOOD)
REFUSED: dict[str, str | bytes] = {
    "alg none": jwt.encode(GOOD, "", algorithm="none"),
    "alg NoNe": raw('{"alg":"NoNe"}', CLAIMS),
    "no alg": raw('{"typ":"JWT"}', CLAIMS),
    "alg is a list": raw('{"alg":["HS256"]}', CLAIMS),
    "HS256 with the RSA public key as secret": raw('{"alg":"HS256","kid":"k1"}', CLAIMS, PUBLIC_PEM),
    "HS256 with the JWK as secret": raw('{"alg":"HS256"}', CLAIMS, json.dumps(jwk(PRIVATE, "k1")).encode()),
    "HS384": jwt.encode(GOOD, SECRET * 2, algorithm="HS384"),
    "RS256 named, HS256 signed": raw('{"alg":"RS256","kid":"k1"}', CLAIMS),
    "RS256 by another key under a known kid": rs(key=OTHER, kid="k1"),
    "RS256 without kid while there are two keys": rs(),
    "a key inside the token (jwk)": rs(key=OTHER, kid="k1", jwk=jwk(OTHER, "k1")),
    "a key's address inside the token (jku)": rs(key=OTHER, kid="k9", jku="http://127.0.0.1:1/keys"),
    "a certificate's address (x5u)": rs(key=OTHER, kid="k1", x5u="http://127.0.0.1:1/cert"),
    "crit": raw('{"alg":"HS256","crit":["exp"]}', CLAIMS),
    "crit with b64": raw('{"alg":"HS256","crit":["b64"],"b64":false}', CLAIMS),
    "kid is a path": rs(kid="../../../dev/null"),
    "kid is SQL": rs(kid="' UNION SELECT 'x"),
    "kid is no string": raw('{"alg":"RS256","kid":7}', CLAIMS),
    "expired": hs({**GOOD, "exp": int(NOW) - 31}),
    "no exp": hs(without("exp")),
    "exp is text": raw('{"alg":"HS256"}', json.dumps({**GOOD, "exp": "never"})),
    "exp is true": raw('{"alg":"HS256"}', json.dumps({**GOOD, "exp": True})),
    "exp is infinite": raw('{"alg":"HS256"}', CLAIMS.replace(str(GOOD["exp"]), "1e999")),
    "not yet": hs({**GOOD, "nbf": int(NOW) + 31}),
    "wrong aud": hs({**GOOD, "aud": "other"}),
    "no aud": hs(without("aud")),
    "wrong iss": hs({**GOOD, "iss": "https://evil.example"}),
    "no iss": hs(without("iss")),
    "no sub": hs(without("sub")),
    "sub is a number": raw('{"alg":"HS256"}', json.dumps({**GOOD, "sub": 42})),
    "sub is empty": hs({**GOOD, "sub": ""}),
    "a claim twice": raw('{"alg":"HS256"}', CLAIMS[:-1] + ',"sub":"43"}'),
    "a header twice": raw('{"alg":"HS256","alg":"none"}', CLAIMS),
    "scope is a list": hs({**GOOD, "scope": ["admin"]}),
    "wrong secret": hs(secret=b"x" * 32),
    "signature cut off": hs().rpartition(".")[0] + ".",
    "claims changed": ".".join(
        (hs().split(".")[0], hs({**GOOD, "sub": "43"}).split(".")[1], hs().split(".")[2])
    ),
    "two parts": "a.b",
    "five parts": "a.b.c.d.e",
    "no base64": "!!.??.--",
    "deep JSON": raw("[" * 3000, CLAIMS),
    "claims are a list": raw('{"alg":"HS256"}', "[]"),
    "bytes": b"\xff\xfe.\x00.\x01",
    "1 MB": "x" * 1_000_000,
    "1 MB of dots": "." * 1_000_000,
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_a_bad_token_is_refused_quickly_and_not_repeated(authority: Authority, token: str | bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(TokenRefused) as refused:
        ask(authority, token)
    assert time.perf_counter() - started < 0.05  # 1 ms when the machine is quiet
    text = token if isinstance(token, str) else token.decode("latin-1")
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer", b"Bearer ", b"Basic dTpw", b"bearer", hs().encode()]
)
def test_without_a_bearer_token_nobody_passes(authority: Authority, header: bytes | None) -> None:
    with pytest.raises(TokenRefused, match="Bearer"):
        authority.caller(header)


@pytest.mark.parametrize(
    "token",
    [hs(), hs(kid="anything"), rs(kid="k1"), rs(key=OTHER, kid="k2"), hs({**GOOD, "exp": int(NOW) - 29})],
    ids=["HS256", "HS256 with a kid", "RS256 k1", "RS256 k2", "within the leeway"],
)
def test_a_good_token_passes(authority: Authority, token: str) -> None:
    assert ask(authority, token).subject == "42"


def test_the_scheme_may_be_written_in_any_case(authority: Authority) -> None:
    assert authority.caller(b"bEARER " + hs().encode()).subject == "42"


def test_a_token_with_an_audience_is_refused_where_none_is_expected(key_file: Path) -> None:
    authority = Authority(KeyFiles(SECRET, key_file), AuthSettings(), clock=lambda: NOW)
    with pytest.raises(TokenRefused, match=r"(?i)audience"):
        ask(authority, hs())


@pytest.mark.parametrize(
    ("scope", "is_service"), [("", False), ("read", False), ("admin", True), ("x service", True)]
)
def test_scopes_make_services(authority: Authority, scope: str, is_service: bool) -> None:
    assert ask(authority, hs({**GOOD, "scope": scope})).is_service is is_service


def test_a_user_may_not_be_another_and_a_service_may() -> None:
    user = Caller(subject="42", scopes=frozenset(), expires_s=0.0, is_service=False)
    user.require_own("42")
    with pytest.raises(NotAllowed, match="another user"):
        user.require_own("43")
    with pytest.raises(NotAllowed, match="scope admin or service"):
        user.require_service()
    Caller(subject="x", scopes=frozenset(), expires_s=0.0, is_service=True).require_own("43")


def test_a_remembered_token_expires_all_the_same(key_file: Path) -> None:
    now = [NOW]
    authority = Authority(KeyFiles(SECRET, key_file), SETTINGS, clock=lambda: now[0])
    header = b"Bearer " + hs().encode()
    authority.caller(header)
    assert authority.known(header) is not None
    now[0] = NOW + 3600 + 30
    assert authority.known(header) is None
    with pytest.raises(TokenRefused, match="expired"):
        authority.caller(header)


def test_memory_of_tokens_is_bounded(key_file: Path) -> None:
    authority = Authority(KeyFiles(SECRET, key_file), SETTINGS, clock=lambda: NOW, max_remembered=20)
    for number in range(100):
        ask(authority, hs({**GOOD, "sub": str(number)}))
    assert len(authority._remembered) <= 20
    assert authority.known(b"Bearer " + hs({**GOOD, "sub": "99"}).encode()) is not None


def test_keys_are_read_again_when_their_file_changes(tmp_path: Path) -> None:
    path, now = jwks(tmp_path / "jwks.json", jwk(PRIVATE, "old")), [NOW]
    authority = Authority(KeyFiles(None, path), SETTINGS, clock=lambda: now[0])
    assert ask(authority, rs(kid="old")).subject == "42"
    jwks(path, jwk(OTHER, "new-key"))
    now[0] += 1.5
    assert ask(authority, rs(key=OTHER, kid="new-key")).subject == "42"
    with pytest.raises(TokenRefused, match="kid"):  # remembered before, and no more
        ask(authority, rs(kid="old"))


def test_what_old_keys_let_in_while_new_ones_were_read_is_not_remembered(tmp_path: Path) -> None:
    path, asked = jwks(tmp_path / "jwks.json", jwk(PRIVATE, "old")), 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        if asked == 2:  # the token's times are checked, and its keys are chosen already
            jwks(path, jwk(OTHER, "new-key"))
            assert asks.known(b"another thread's") is None
        return NOW + 1.5 * (asked - 1)

    asks = Authority(KeyFiles(None, path), SETTINGS, clock=clock)
    header = b"Bearer " + rs(kid="old").encode()
    assert asks.caller(header).subject == "42"
    assert asks.known(header) is None


def test_a_broken_key_file_leaves_the_old_keys(tmp_path: Path) -> None:
    path, now = jwks(tmp_path / "jwks.json", jwk(PRIVATE, "old")), [NOW]
    authority = Authority(KeyFiles(None, path), SETTINGS, clock=lambda: now[0])
    path.write_text("{half")
    now[0] += 1.5
    assert ask(authority, rs(kid="old")).subject == "42"


def test_without_a_secret_no_hs256_token_passes(key_file: Path) -> None:
    authority = Authority(KeyFiles(None, key_file), SETTINGS, clock=lambda: NOW)
    with pytest.raises(TokenRefused, match="use RS256"):
        ask(authority, hs())


@pytest.mark.parametrize("subject", ["42", "☕" * 300, "a b/../'; DROP", "Zoë"])
def test_a_made_token_is_accepted_whoever_it_is_for(authority: Authority, subject: str) -> None:
    token = token_for(SECRET, subject, scopes=["service"], ttl_s=60.0, now_s=NOW, settings=SETTINGS)
    caller = ask(authority, token)
    assert (caller.subject, caller.is_service) == (subject, True)
