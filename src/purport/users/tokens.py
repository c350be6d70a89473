"""OAuth 2.0 bearer tokens: checked with the keys of their issuer (RFC 7519, RFC 7517), or asked about (RFC 7662).

    POST /introspect   token=vF9dft4qmTc2...   ->   {"active": true, "username": "alice", "exp": 1795000000}

Everything fetched is bounded in size and time and kept for a while; a token is kept as its hash alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from purport.bounded import Bounded
from purport.net.https import TooLarge, limited
from purport.users.password import Unavailable

if TYPE_CHECKING:
    import jwt

SECONDS: Final = 10.0  # for one request
ANSWER_OCTETS: Final = 1_048_576  # of a set of keys or of an answer
KEYS_SECONDS: Final = 3600.0  # for which fetched keys are good
FRESH_SECONDS: Final = 60.0  # between fetches for a key that we do not know: anyone can name one
KNOWN_SECONDS: Final = 60.0  # for which an answer about a token is good: so long a withdrawn one still works
KNOWN_TOKENS: Final = 10_000
LEEWAY: Final = 60.0  # seconds that clocks may differ
# Those of RFC 7518 that prove something by a public key; never "none", and never HMAC with a key that is public.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """How tokens are checked: `jwks` is a file or an https address, `introspection` an https address. `claim` is the
    one that holds the user's name."""

    jwks: str = ""
    introspection: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    issuer: str = ""
    audience: str = ""
    scope: str = ""
    claim: str = "email"


@final
class Tokens:
    """Says whose a token is."""

    def __init__(self, settings: TokenSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: jwt.PyJWKSet | None = None
        self._keys_from = 0.0
        self._fetching = asyncio.Lock()
        self._known: Bounded[bytes, tuple[float, str | None]] = Bounded(KNOWN_TOKENS)

    @property
    def scope(self) -> str:
        """What a token has to be good for."""
        return self._settings.scope

    async def owner(self, token: str) -> str | None:
        """The name that a token stands for, None where it is not good. Raises Unavailable."""
        digest = hashlib.sha256(token.encode("ascii")).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        claims = await (self._verified(token) if self._settings.jwks else self._introspected(token))
        owner = None if claims is None else self._owner(claims)
        expires = None if claims is None else claims.get("exp")
        until = now + KNOWN_SECONDS
        if isinstance(expires, int | float):
            until = min(until, expires)
        self._known.put(digest, (until, owner))
        return owner

    def _owner(self, claims: Mapping[str, object]) -> str | None:
        """The name in the claims, where they are for us."""
        settings = self._settings
        if settings.scope and settings.scope not in words(claims.get("scope")):
            return None
        name = claims.get(settings.claim)
        if settings.claim == "email" and claims.get("email_verified") is False:
            return None
        return name if isinstance(name, str) and name else None

    # A JWT

    async def _verified(self, token: str) -> Mapping[str, object] | None:
        """The claims of a JWT that one of the issuer's keys signed."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        key = await self._key(header.get("kid"))
        if key is None:
            return None
        settings = self._settings
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name] if key.algorithm_name in ALGORITHMS else [],
                audience=settings.audience or None,
                issuer=settings.issuer or None,
                leeway=LEEWAY,
                options={"require": ["exp"], "verify_aud": bool(settings.audience)},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return claims

    async def _key(self, name: object) -> jwt.PyJWK | None:
        """The key of that name, or the only one; fetched again where it is not there. Raises Unavailable."""
        async with self._fetching:
            now = self._clock()
            keys = self._keys
            if keys is None or now - self._keys_from > KEYS_SECONDS:
                keys = await self._fetch_keys(now)
            found = named(keys, name)
            if found is None and now - self._keys_from > FRESH_SECONDS:
                found = named(await self._fetch_keys(now), name)
            return found

    async def _fetch_keys(self, now: float) -> jwt.PyJWKSet:
        import jwt

        place = self._settings.jwks
        if place.startswith(("https:", "http:")):
            octets = await fetch(place)
        else:
            try:
                octets = await asyncio.to_thread(Path(place).read_bytes)
            except OSError as error:
                raise Unavailable(f"{place}: {error.strerror}") from None
        try:
            keys = jwt.PyJWKSet.from_dict(json.loads(octets))
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
            raise Unavailable(f"{place}: no set of keys (JWKS)") from None
        self._keys, self._keys_from = keys, now
        return keys

    # Introspection

    async def _introspected(self, token: str) -> Mapping[str, object] | None:
        """What the authorization server says about a token (RFC 7662 section 2)."""
        settings = self._settings
        place = settings.introspection
        octets = await fetch(
            place, {"token": token, "token_type_hint": "access_token"}, (settings.client_id, settings.client_secret)
        )
        try:
            answer = json.loads(octets)
        except ValueError:
            raise Unavailable(f"{place}: its answer is no JSON") from None
        if not isinstance(answer, dict) or answer.get("active") is not True:
            return None
        if settings.issuer and answer.get("iss") != settings.issuer:
            return None
        if settings.audience and settings.audience not in words(answer.get("aud")):
            return None
        expires = answer.get("exp")
        if isinstance(expires, int | float) and expires + LEEWAY < self._clock():
            return None
        return answer


def words(claim: object) -> list[object]:
    """The items of a claim that is a list, or words in a text (RFC 8693 section 4.2)."""
    if isinstance(claim, list):
        return claim
    return [*claim.split()] if isinstance(claim, str) else []


def named(keys: jwt.PyJWKSet, name: object) -> jwt.PyJWK | None:
    """The key with this `kid`; where the token names none, the only key there is."""
    if name is None:
        return keys.keys[0] if len(keys.keys) == 1 else None
    return next((key for key in keys.keys if key.key_id == name), None)


async def fetch(address: str, form: Mapping[str, str] | None = None, login: tuple[str, str] = ("", "")) -> bytes:
    """The body of an answer with status 200; a form is posted. Raises Unavailable, which quotes nothing of it."""
    import httpx

    request_login = httpx.BasicAuth(*login) if login[0] else None
    method = "GET" if form is None else "POST"
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(timeout=SECONDS, follow_redirects=False) as client,
            client.stream(
                method, address, data=form, auth=request_login, headers={"Accept": "application/json"}
            ) as answer,
        ):
            if answer.status_code != 200:
                raise Unavailable(f"{address}: answered with {answer.status_code}")
            return await limited(answer.aiter_bytes(), ANSWER_OCTETS)
    except TooLarge:
        raise Unavailable(f"{address}: its answer is too large") from None
    except TimeoutError:
        raise Unavailable(f"{address}: did not answer in {SECONDS:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Unavailable(f"{address}: {type(error).__name__}") from None
