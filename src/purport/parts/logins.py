"""Who may log in."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from purport.config.schema import Settings
from purport.parts.secret import secret_in
from purport.smtp.sasl.keys import read_keys
from purport.users.authenticator import Authenticator, prepared_user
from purport.users.dovecot import DovecotAuth
from purport.users.guard import GuardLimits
from purport.users.password import Hasher, Secret, Threads
from purport.users.tokens import Tokens, TokenSettings


def make_authenticator(
    path: Path, settings: Settings, threads: Threads, pepper: bytes, warn: Callable[[str], None]
) -> Authenticator:
    """Who may log in. Raises OSError and ValueError for a file that cannot be used."""
    users = {}
    for entry in settings.user:
        keys = read_keys(entry.scram) if entry.scram else None
        user = prepared_user(
            entry.name, Secret(entry.password, entry.password_hash or None, keys), tuple(entry.addresses)
        )
        users[user.name] = user
    oauth = settings.oauth
    tokens = TokenSettings(
        oauth.jwks if not oauth.jwks or "://" in oauth.jwks else str(path.parent / oauth.jwks),
        oauth.introspection,
        oauth.client_id,
        oauth.client_secret or secret_in(path, oauth.client_secret_file),
        oauth.issuer,
        oauth.audience,
        oauth.scope,
        oauth.claim,
    )
    return Authenticator(
        users=users,
        file=path.parent / settings.users.file if settings.users.file else None,
        dovecot=DovecotAuth(settings.users.dovecot) if settings.users.dovecot else None,
        tokens=Tokens(tokens, time.time) if tokens.jwks or tokens.introspection else None,
        allowed=tuple(name.upper() for name in settings.auth.mechanisms),
        pepper=pepper,
        domain=settings.domain[0].name if settings.domain else "",
        hasher=Hasher(),
        threads=threads,
        warn=warn,
    )


def make_guard_limits(settings: Settings) -> GuardLimits:
    """How much guessing of passwords is borne with."""
    auth = settings.auth
    return GuardLimits(auth.window, auth.failures_per_client, auth.failures_per_login, auth.delay, auth.max_delay)
