"""What the types cannot say about users, tokens and logins of ours. No message quotes a password."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from purport.config.lines import Path
from purport.config.schema import Settings
from purport.config.tables.logins import Oauth
from purport.config.tables.server import Listener
from purport.config.wrong import Wrong
from purport.mail.address import parse_mailbox
from purport.mail.domain import a_label_form
from purport.policy.submission import ANY
from purport.smtp.extensions.auth import EXTENSION as AUTH
from purport.smtp.sasl.keys import read_keys
from purport.smtp.sasl.mechanisms import ALL
from purport.smtp.sasl.saslprep import saslprep

ARGON2: Final = "$argon2"
NEEDS_AUTH: Final = {"submission": "a submission", "odmr": "on-demand mail relay"}


def check_logins(settings: Settings) -> None:
    """Look at everything that has to do with logging in. Raises Wrong."""
    for number, listener in enumerate(settings.listener):
        _check_listener(("listener", number), listener)
    for number, mechanism in enumerate(settings.auth.mechanisms):
        if mechanism.upper() not in ALL:
            raise Wrong(("auth", "mechanisms", number), f"{mechanism!a} is none of ours", "one of " + ", ".join(ALL))
    if settings.auth.max_delay < settings.auth.delay:
        raise Wrong(("auth", "max_delay"), "is less than delay")
    _check_users(settings)
    _check_oauth(settings.oauth)
    _check_credentials(settings)


def _check_listener(path: Path, listener: Listener) -> None:
    withheld = {keyword.upper() for keyword in listener.discard_ehlo_keywords}
    if listener.service in NEEDS_AUTH and AUTH.keyword in withheld:
        raise Wrong((*path, "discard_ehlo_keywords"), f"{NEEDS_AUTH[listener.service]} cannot do without AUTH")


def _check_users(settings: Settings) -> None:
    seen: set[str] = set()
    for number, user in enumerate(settings.user):
        path: Path = ("user", number)
        try:
            name = saslprep(user.name, stored=True)
        except ValueError as error:
            raise Wrong((*path, "name"), f"cannot be a name: {error}") from None
        if not name or not name.isprintable():
            raise Wrong((*path, "name"), "a name has printable characters")
        if name in seen:
            raise Wrong((*path, "name"), f"{name!a} stands there twice")
        seen.add(name)
        if user.password is not None and (user.password_hash or user.scram):
            raise Wrong((*path, "password"), "either a password or its hash")
        if user.password is not None:
            _check_password((*path, "password"), user.password)
        if user.password_hash and not user.password_hash.startswith(ARGON2):
            raise Wrong((*path, "password_hash"), "is no argon2 hash", "`purport user add` makes one")
        if user.scram:
            try:
                read_keys(user.scram)
            except ValueError:
                form = "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY"
                raise Wrong((*path, "scram"), "are no SCRAM keys", f"such as {form}") from None
        check_addresses((*path, "addresses"), user.addresses)


def _check_password(path: Path, password: str) -> None:
    try:
        if not saslprep(password, stored=True):
            raise ValueError("nothing is left of it")
    except ValueError as error:
        raise Wrong(path, f"cannot be a password: {error}") from None


def check_addresses(path: Path, addresses: list[str]) -> None:
    """Addresses that a user may send from. Raises Wrong."""
    for number, address in enumerate(addresses):
        try:
            if address == ANY:
                continue
            if address.startswith("@"):
                a_label_form(address[1:])
            else:
                parse_mailbox(address, utf8=True)
        except ValueError:
            right = 'such as "alice@example.com", "@example.com" for all of a domain, or "*" for any'
            raise Wrong((*path, number), f"{address!a} is no address", right) from None


def _check_oauth(oauth: Oauth) -> None:
    if oauth.jwks and oauth.introspection:
        raise Wrong(("oauth", "introspection"), "either jwks or introspection")
    if oauth.jwks and "://" in oauth.jwks:
        _check_address(("oauth", "jwks"), oauth.jwks)
    if oauth.introspection:
        _check_address(("oauth", "introspection"), oauth.introspection)
    if oauth.client_secret and oauth.client_secret_file:
        raise Wrong(("oauth", "client_secret_file"), "either client_secret or client_secret_file")


def _check_address(path: Path, address: str) -> None:
    """Tokens and keys travel over TLS, or do not leave this machine."""
    try:
        found = urlsplit(address)
        host = found.hostname or ""
    except ValueError:
        host = ""
    if host and found.scheme == "https":
        return
    if not (host and found.scheme == "http" and _is_loopback(host)):
        raise Wrong(path, f"{address!a} is no https address")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_credentials(settings: Settings) -> None:
    relay = settings.relay
    if relay.user:
        if not relay.default.startswith("smtp:"):
            raise Wrong(
                ("relay", "user"), "there is a login for one host only", 'set relay.default to "smtp:HOST:PORT"'
            )
        _check_login(("relay",), relay.user, relay.password, relay.password_file)
    seen = {relay.default} if relay.user else set()
    for number, login in enumerate(settings.credentials):
        path: Path = ("credentials", number)
        if not login.next_hop.startswith("smtp:"):
            raise Wrong((*path, "next_hop"), f"{login.next_hop!a} is no route", 'such as "smtp:HOST:PORT"')
        if login.next_hop in seen:
            raise Wrong((*path, "next_hop"), f"{login.next_hop!a} has a login already")
        seen.add(login.next_hop)
        _check_login(path, login.user, login.password, login.password_file)


def _check_login(path: Path, user: str, password: str, password_file: str) -> None:
    if bool(password) == bool(password_file):
        raise Wrong((*path, "user"), "needs either password or password_file")
    try:
        saslprep(user)
        saslprep(password)
    except ValueError as error:
        raise Wrong((*path, "user"), f"cannot log in with that: {error}") from None
