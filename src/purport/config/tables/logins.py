"""Users: how they log in, and what they may send."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from purport.config.tables.table import Count, Seconds, Table


class User(Table, frozen=True):
    """A user who may log in; one without a password is known to the users file, to Dovecot or by a token."""

    name: Annotated[str, Meta(min_length=1, description="the name to log in with")]
    password: Annotated[
        str | None, Meta(description="the password, in clear: for tests; `purport user add` keeps none")
    ] = None
    password_hash: Annotated[str, Meta(description="its argon2 hash instead, `$argon2id$...`")] = ""
    scram: Annotated[str, Meta(description="its SCRAM keys, `SCRAM-SHA-256$...` as PostgreSQL writes them")] = ""
    addresses: Annotated[
        list[str],
        Meta(
            description="addresses that the user may send from, `@DOMAIN` for all of a domain; empty: the name where "
            "it is an address, else the name at the first [[domain]]"
        ),
    ] = []


class Users(Table, frozen=True):
    """Where users are kept besides the settings."""

    file: Annotated[str, Meta(description="the file that `purport user` manages; empty: none")] = "users"
    dovecot: Annotated[
        str,
        Meta(description="Dovecot's auth socket, such as /run/dovecot/auth-client: asked about all other users"),
    ] = ""


class Auth(Table, frozen=True):
    """How users log in (RFC 4954), and how often they may fail."""

    mechanisms: Annotated[
        list[str],
        Meta(
            description="what is offered where it can be: SCRAM where no Dovecot is asked and every user has keys for "
            "it, OAUTHBEARER where [oauth] is set; for old clients, and only where they are named here, LOGIN, and "
            "CRAM-MD5 where every user has a password in clear"
        ),
    ] = field(default_factory=lambda: ["SCRAM-SHA-256", "OAUTHBEARER", "PLAIN"])
    window: Annotated[Seconds, Meta(description="seconds after which failed logins are forgotten")] = 600.0
    failures_per_client: Annotated[
        Count, Meta(description="failed logins of one client address (IPv6: /64 network) before 421")
    ] = 20
    failures_per_login: Annotated[
        Count, Meta(description="failed logins with one name before 421; clients that got in before stay welcome")
    ] = 50
    delay: Annotated[
        float, Meta(ge=0, le=60, description="seconds until a client hears of its first failure; doubled by each more")
    ] = 1.0
    max_delay: Annotated[float, Meta(ge=0, le=60, description="most seconds of that")] = 16.0


class Oauth(Table, frozen=True):
    """OAuth 2.0 bearer tokens (OAUTHBEARER, RFC 7628)."""

    jwks: Annotated[str, Meta(description="the issuer's keys: a file, or an https address")] = ""
    introspection: Annotated[str, Meta(description="instead: the https address that tells about tokens (RFC 7662)")] = (
        ""
    )
    client_id: Annotated[str, Meta(description="our name there")] = ""
    client_secret: Annotated[str, Meta(description="our password there")] = ""
    client_secret_file: Annotated[str, Meta(description="a file that holds it instead")] = ""
    issuer: Annotated[str, Meta(description="who must have issued a token; empty: whoever has the keys")] = ""
    audience: Annotated[str, Meta(description="for whom it must be; empty: not asked")] = ""
    scope: Annotated[str, Meta(description="what it must be good for; empty: not asked")] = ""
    claim: Annotated[str, Meta(min_length=1, description="the claim that holds the user's name")] = "email"


class Submission(Table, frozen=True):
    """What users who logged in may send (RFC 6409)."""

    author: Annotated[
        Literal["ours", "strict", "sender"],
        Meta(
            description="what a login may say. ours: no address of our domains but its own; strict: no address but its "
            "own; sender: the same, but authors in From may be others where Sender, which is added, has such an address"
        ),
    ] = "ours"
    sender_for_others: Annotated[
        bool,
        Meta(
            description="add a Sender field with an address of the login wherever From has none of its own, as a "
            "mobile network does (RFC 4405 section 5.3): it is responsible for what it sends"
        ),
    ] = False
