"""OAuth tokens: signed ones against a set of keys, others asked about; nothing fetched without limits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from purport.users import tokens as module
from purport.users.password import Unavailable
from purport.users.tokens import Tokens, TokenSettings

NOW = 1_795_000_000.0
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"email": "alice@example.com", "iss": "https://issuer.example", "aud": "smtp", "exp": 4_000_000_000}
SETTINGS = {"issuer": "https://issuer.example", "audience": "smtp"}


def jwk(key: ec.EllipticCurvePrivateKey, name: str) -> dict[str, object]:
    made = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return {**made, "kid": name, "use": "sig", "alg": "ES256"}


def signed(
    claims: dict[str, object] | None = None, key: object = KEY, name: str | None = "one", how: str = "ES256"
) -> str:
    return jwt.encode({**CLAIMS, **(claims or {})}, key, how, {"kid": name} if name else None)  # type: ignore[arg-type]


def owner(tokens: Tokens, token: str) -> str | None:
    return asyncio.run(tokens.owner(token))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(KEY, "one")]}))
    return file


def tokens_of(keys: Path, clock: Callable[[], float] = lambda: NOW, **settings: str) -> Tokens:
    return Tokens(TokenSettings(jwks=str(keys), **{**SETTINGS, **settings}), clock)


def test_a_signed_token_names_its_owner(keys: Path) -> None:
    assert owner(tokens_of(keys), signed()) == "alice@example.com"
    assert owner(tokens_of(keys), signed(name=None)) == "alice@example.com"  # there is only one key
    assert owner(tokens_of(keys, claim="sub"), signed({"sub": "alice"})) == "alice"


@pytest.mark.parametrize(
    "token",
    [
        "no-token",
        signed(key=OTHER),
        signed(name="two"),
        signed({"exp": 1}),
        signed({"iss": "https://other.example"}),
        signed({"aud": "imap"}),
        signed({"email": ""}),
        signed({"email": ["alice@example.com"]}),
        signed({"email_verified": False}),
        signed({"nbf": 3_999_999_999}),
        signed(key="", how="none"),
        signed(key="public keys are no secret, so they sign nothing", how="HS256"),
        jwt.encode({key: value for key, value in CLAIMS.items() if key != "exp"}, KEY, "ES256", {"kid": "one"}),
    ],
)
def test_what_is_no_good_token(keys: Path, token: str) -> None:
    assert owner(tokens_of(keys), token) is None


def test_a_symmetric_key_in_the_set_signs_nothing(keys: Path) -> None:
    secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
    keys.write_text(json.dumps({"keys": [{"kty": "oct", "k": secret, "kid": "one", "alg": "HS256"}]}))
    token = signed(key=b"secretsecretsecretsecretsecretsecret", how="HS256")
    assert owner(tokens_of(keys), token) is None


@pytest.mark.parametrize(("scope", "good"), [("smtp mail", True), (["smtp"], True), ("smtpx", False), (None, False)])
def test_a_scope_that_is_asked_for(keys: Path, scope: object, good: bool) -> None:
    found = owner(tokens_of(keys, scope="smtp"), signed({"scope": scope}))
    assert (found is not None) == good


def test_keys_that_are_none_are_our_trouble_and_not_the_clients(keys: Path) -> None:
    keys.write_text("{}")
    with pytest.raises(Unavailable):
        owner(tokens_of(keys), signed())
    keys.unlink()
    with pytest.raises(Unavailable, match="No such file"):
        owner(tokens_of(keys), signed())


def test_a_new_key_is_found_but_not_looked_for_at_every_token(keys: Path) -> None:
    now = [NOW]
    tokens = tokens_of(keys, lambda: now[0])
    assert owner(tokens, signed()) is not None
    keys.write_text(json.dumps({"keys": [jwk(OTHER, "two")]}))
    assert owner(tokens, signed(key=OTHER, name="two")) is None
    now[0] += 61
    assert owner(tokens, signed({"n": 1}, key=OTHER, name="two")) is not None


def test_an_answer_is_kept_for_a_minute_and_no_longer_than_the_token(keys: Path) -> None:
    now = [NOW]
    tokens = tokens_of(keys, lambda: now[0])
    token = signed()
    assert owner(tokens, token) is not None
    keys.unlink()
    now[0] += 59
    assert owner(tokens, token) is not None
    (kept,) = tokens._known
    assert token.encode() not in kept
    tokens._keys = None
    now[0] += 2
    with pytest.raises(Unavailable):
        owner(tokens, token)


# Over HTTP


@contextmanager
def http(answer: Callable[[str, dict[str, str], bytes], tuple[int, bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, octets = answer(self.path, dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(octets)))
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(octets)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_token_is_asked_about() -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    def answer(_path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        seen.append((headers, body))
        good = parse_qs(body.decode())["token"] == ["good"]
        return 200, json.dumps({"active": good, "username": "alice", **{k: CLAIMS[k] for k in ("iss", "aud")}}).encode()

    with http(answer) as place:
        settings = TokenSettings(
            introspection=f"{place}/introspect", client_id="us", client_secret="pw", claim="username", **SETTINGS
        )
        tokens = Tokens(settings, lambda: NOW)
        assert owner(tokens, "good") == "alice"
        assert owner(tokens, "good") == "alice"
        assert owner(tokens, "bad") is None
    assert len(seen) == 2
    assert seen[0][0]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "octets", "told"),
    [(500, b"", "answered with 500"), (302, b"", "302"), (200, b"no json", "no JSON"), (200, b"x" * 2000, "too large")],
)
def test_an_odd_answer_is_no_judgement(monkeypatch: pytest.MonkeyPatch, status: int, octets: bytes, told: str) -> None:
    monkeypatch.setattr(module, "ANSWER_OCTETS", 1000)
    with http(lambda *_: (status, octets)) as place, pytest.raises(Unavailable, match=told):
        owner(Tokens(TokenSettings(introspection=place), lambda: NOW), "secret-token")


@pytest.mark.parametrize(
    "claims", [{}, {"active": "true"}, {"active": True, "exp": 1}, {"active": True, "iss": "x"}, {"active": True}]
)
def test_what_is_not_active_for_us(claims: dict[str, object]) -> None:
    told = {"email": "a@b.example", **claims}
    with http(lambda *_: (200, json.dumps(told).encode())) as place:
        assert owner(Tokens(TokenSettings(introspection=place, **SETTINGS), lambda: NOW), "t") is None


def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2)
    gate = threading.Event()

    def slow(*_: object) -> tuple[int, bytes]:
        gate.wait(5)
        return 200, b"{}"

    with http(slow) as place:
        with pytest.raises(Unavailable):
            owner(Tokens(TokenSettings(introspection=place), lambda: NOW), "t")
        gate.set()


def test_keys_come_over_http_too_and_are_kept() -> None:
    fetched: list[str] = []

    def answer(path: str, *_: object) -> tuple[int, bytes]:
        fetched.append(path)
        return 200, json.dumps({"keys": [jwk(KEY, "one")]}).encode()

    with http(answer) as place:
        tokens = Tokens(TokenSettings(jwks=f"{place}/keys", **SETTINGS), lambda: NOW)
        assert owner(tokens, signed()) == "alice@example.com"
        assert owner(tokens, signed({"n": 2})) == "alice@example.com"
    assert fetched == ["/keys"]
