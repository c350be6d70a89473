"""The settings, typed, with their defaults and what each is for: sample, manual and check are made from this."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field, inspect

# The upper limits keep sums of settings inside what SQLite and the event loop can hold; nobody should ever meet them.
YEAR: Final = 31_536_000  # seconds
MANY: Final = 1_000_000_000_000

SECRETS: Final = frozenset(("password", "password_hash", "scram", "client_secret"))

Seconds = Annotated[float, Meta(gt=0, le=YEAR)]
Count = Annotated[int, Meta(ge=1, le=MANY)]
Moment = Annotated[datetime, Meta(tz=True)]  # as TOML writes it: 2024-01-01T00:00:00Z


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the settings file: unknown keys are errors."""

    def __repr__(self) -> str:
        """The settings without the values of those that hold secrets."""
        shown = [
            f"{name}={'...' if name in SECRETS and getattr(self, name) else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Dns(Table, frozen=True):
    """Who answers questions about domains."""

    servers: Annotated[list[str], Meta(description="resolvers as HOST or HOST:PORT; empty: the system's")] = []
    zone: Annotated[
        str,
        Meta(description="a JSON file that answers every question instead of the DNS: for demonstrations and tests"),
    ] = ""
    trust_ad: Annotated[
        Literal["loopback", "always", "never"],
        Meta(
            description="which resolvers are believed that they validated an answer (DNSSEC): those on this machine, "
            "all, where nobody on the way to them could say so in their place, or none"
        ),
    ] = "loopback"
    client_names: Annotated[
        bool, Meta(description="look up the names of clients, for Received fields, logs and iprev (RFC 8601)")
    ] = True
    timeout: Annotated[Seconds, Meta(description="seconds for one try with one resolver")] = 5.0
    cache_entries: Annotated[Count, Meta(description="answers kept in memory")] = 50_000


class Certificate(Table, frozen=True):
    """A certificate for TLS; the first is shown to clients that ask for no name of the others."""

    chain: Annotated[
        str, Meta(min_length=1, description="PEM file: the certificate, then those that lead to its authority")
    ]
    key: Annotated[str, Meta(description="PEM file of its key, without a password; left out: in the same file")] = ""


class Tls(Table, frozen=True):
    """TLS as a server."""

    min_version: Annotated[Literal["1.2", "1.3"], Meta(description="the oldest version that is spoken")] = "1.2"
    ciphers: Annotated[str, Meta(description="ciphers of TLS 1.2 as OpenSSL lists them; empty: its own choice")] = ""


class Domain(Table, frozen=True):
    """A domain that mail is received for."""

    name: Annotated[str, Meta(description="the domain")]
    mailboxes: Annotated[
        list[str] | None, Meta(description="its local parts; left out: every local part exists. postmaster always does")
    ] = None
    deliver: Annotated[
        str,
        Meta(
            description='"maildir", "smtp:HOST:PORT", "smtps:HOST:PORT", "lmtp:HOST:PORT", "lmtp:unix:PATH", "mx", or '
            '"odmr": its mail waits until its host comes for it, see [[odmr]]'
        ),
    ] = "maildir"
    forwards: Annotated[
        dict[str, Annotated[list[str], Meta(min_length=1)]],
        Meta(
            description="mailboxes whose mail goes on, by local part, and the addresses that it goes on to: one at "
            "another domain, or a mailbox of ours; a mailbox among its own addresses keeps a copy, and NAME beside "
            "which owner-NAME stands is a mailing list of that owner"
        ),
    ] = {}
    aliases: Annotated[
        str, Meta(description="an alias file, such as /etc/aliases, that says the same; programs and files are errors")
    ] = ""
    forward_command: Annotated[
        list[str],
        Meta(
            description="a program and its arguments, asked about every other mailbox: it reads an address from its "
            "standard input and prints the addresses that its mail goes on to, one a line; none: it is not forwarded"
        ),
    ] = []
    since: Annotated[
        dict[str, Moment],
        Meta(
            description="when mailboxes went to their present owners, by local part, for senders who ask (RRVS): "
            '1970-01-01T00:00:00Z for one that never had another; "*" for all that are not named. '
            "What is not known is refused to RRVS; where nothing is, the header field is not looked at"
        ),
    ] = {}
    domain_since: Annotated[
        Moment | None, Meta(description="when the domain went to its present owner, if it had another before")
    ] = None


class Listener(Table, frozen=True):
    """An address to listen on."""

    bind: Annotated[list[str], Meta(min_length=1, description="addresses as HOST:PORT or [HOST]:PORT")]
    service: Annotated[
        Literal["mx", "submission", "lmtp", "odmr"],
        Meta(
            description="what is spoken there: mx is SMTP between servers; submission takes mail of users who log in; "
            "lmtp takes mail from servers of your own (RFC 2033); odmr takes none, but gives what waits to hosts that "
            "log in for it (RFC 2645), on port 366"
        ),
    ] = "mx"
    takes_mail: Annotated[
        bool, Meta(description="false: whoever comes hears 521, that this host takes no mail (RFC 7504), and is let go")
    ] = True
    auth: Annotated[
        bool, Meta(description="offer AUTH to the clients of an mx too; a submission and an odmr always do")
    ] = False
    auth_without_tls: Annotated[
        bool, Meta(description="let clients log in where TLS does not protect the connection: for tests, and behind it")
    ] = False
    xclient: Annotated[
        list[str], Meta(description="networks of clients whose XCLIENT is believed: gateways and tests")
    ] = []
    guest: Annotated[
        str,
        Meta(
            description="the address that is responsible for mail which clients send anywhere from here without a "
            "login, as of a hotel's guests: it goes into a Resent-From field; empty: nobody is named"
        ),
    ] = ""
    tls: Annotated[
        Literal["offer", "require", "implicit", "none"],
        Meta(
            description="offer: STARTTLS, where there is a certificate; require: no mail before it; implicit: TLS from "
            "the first octet, as on port 465; none: in clear"
        ),
    ] = "offer"
    proxy_protocol: Annotated[
        list[str],
        Meta(description="networks of proxies, each of which must send a PROXY header with the client's address"),
    ] = []
    discard_ehlo_keywords: Annotated[
        list[str], Meta(description="extensions not offered there, such as DSN where strangers get no reports")
    ] = []


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


class Credentials(Table, frozen=True):
    """A login of ours at a next hop that a [[domain]] is delivered to; for `relay.default` see [relay]."""

    next_hop: Annotated[str, Meta(description='the route, as "smtp:HOST:PORT"')]
    user: Annotated[str, Meta(min_length=1, description="our name there")]
    password: Annotated[str, Meta(description="our password there")] = ""
    password_file: Annotated[str, Meta(description="a file that holds it instead")] = ""
    auth_without_tls: Annotated[
        bool, Meta(description="send the password where TLS does not protect the connection")
    ] = False


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


class Dkim(Table, frozen=True):
    """A key that mail is signed with (DKIM, RFC 6376), for the domain and all below it."""

    domain: Annotated[str, Meta(description="the domain that the signature is of, d=")]
    selector: Annotated[
        str, Meta(description="the name of the key in that domain, s=: `purport dkim keygen` makes one")
    ]
    key: Annotated[str, Meta(min_length=1, description="PEM file of the private key: RSA or Ed25519, no password")]


class DkimSign(Table, frozen=True):
    """What is signed with the keys of [[dkim]] and [dkim_tables]."""

    submission: Annotated[
        bool, Meta(description="messages of users who logged in, where they own the address in From")
    ] = True
    reports: Annotated[bool, Meta(description="delivery reports of this server: signed receipts")] = True
    lifetime: Annotated[
        float, Meta(ge=0, le=YEAR, description="seconds until a signature expires (x=); 0: it does not")
    ] = 0.0


class DkimTables(Table, frozen=True):
    """OpenDKIM's tables of keys, as opendkim.conf(5) describes them; `refile:` or `file:` may stand before a name."""

    key_table: Annotated[str, Meta(description="KeyTable: lines NAME DOMAIN:SELECTOR:FILE; empty: none")] = ""
    signing_table: Annotated[
        str,
        Meta(
            description="SigningTable: lines PATTERN NAME, such as *@example.com mykey. With file: before it there are "
            "no wildcards, and addresses and domains are looked up as OpenDKIM does"
        ),
    ] = ""
    multiple_signatures: Annotated[
        bool, Meta(description="sign with the keys of all lines that match, instead of the first")
    ] = False


class Submitter(Table, frozen=True):
    """Who is responsible for a message (RFC 4405, 4406, 4407)."""

    offer: Annotated[bool, Meta(description="offer SUBMITTER in the EHLO reply")] = True
    check_pra: Annotated[
        Literal["when-submitted", "always", "never"],
        Meta(
            description="compare the header's responsible address with the submitter when one was named; always: "
            "check that address by Sender ID where none was named; never: leave the header alone"
        ),
    ] = "when-submitted"
    reject_at: Annotated[
        Literal["mail", "rcpt", "data"], Meta(description="the command at which an unauthorised submitter is refused")
    ] = "mail"
    on_temperror: Annotated[
        Literal["accept", "defer"], Meta(description="when the DNS cannot be asked: go on, or answer 450 4.4.3")
    ] = "accept"
    local_part_case: Annotated[
        Literal["exact", "ignore"],
        Meta(description="whether the case of local parts counts when addresses are compared"),
    ] = "exact"


class Spf(Table, frozen=True):
    """SPF of the reverse-path (RFC 7208)."""

    on_fail: Annotated[
        Literal["tag", "reject"],
        Meta(description="tag: the Authentication-Results field says it; reject: 550 5.7.23 at MAIL"),
    ] = "tag"
    check_helo: Annotated[bool, Meta(description="check the hello domain too")] = False
    received_spf: Annotated[bool, Meta(description="add a Received-SPF field too (RFC 7208 section 9.1)")] = False


class AuthenticationResults(Table, frozen=True):
    """Under which name our checks are told in the header (the authserv-id, RFC 8601)."""

    id: Annotated[str, Meta(description="our name in Authentication-Results; empty: the host name")] = ""
    aliases: Annotated[
        list[str],
        Meta(
            description="names of other hosts of your own, and old ones: a field under one of them goes from what "
            "comes in, except from hosts in trusted_hops.networks"
        ),
    ] = []


class TrustedHops(Table, frozen=True):
    """Gateways and backup servers of your own that mail passes before it comes here: not they are judged, but the
    clients that their Received fields name."""

    networks: Annotated[list[str], Meta(description="networks that they are in")] = []
    names: Annotated[
        list[str],
        Meta(
            description='what they call themselves in their Received fields, ".example.com" for all below it; empty: '
            "any name is taken, also that of a field which their client wrote where they write none"
        ),
    ] = []


class Dmarc(Table, frozen=True):
    """What the domain of the author asks for (RFC 9989)."""

    on_fail: Annotated[
        Literal["tag", "quarantine", "policy"],
        Meta(
            description="policy: what that domain asks for: a message is refused, or goes into the folder Junk of a "
            "Maildir; one without an author that can be read in one way is refused. quarantine: the same, but instead "
            "of being refused for a policy a message goes into Junk. tag: it comes in, and its "
            "Authentication-Results field says what was found"
        ),
    ] = "policy"
    on_temperror: Annotated[
        Literal["accept", "defer"], Meta(description="when the DNS cannot be asked: go on, or answer 450 4.4.3")
    ] = "accept"
    trusted_sealers: Annotated[
        list[str],
        Meta(
            description="domains of mailing lists and forwarders: where one of them has sealed a message with ARC (RFC "
            "8617) and saw DMARC pass, what the author's domain asks for is not done"
        ),
    ] = []


class Limits(Table, frozen=True):
    """What a client may cost."""

    message_size: Annotated[Count, Meta(description="octets of a message")] = 52_428_800
    recipients: Annotated[Count, Meta(description="recipients of one transaction")] = 1000
    errors: Annotated[Count, Meta(description="errors of one session before 421")] = 20
    connections: Annotated[Count, Meta(description="connections in all")] = 10_000
    connections_per_client: Annotated[Count, Meta(description="connections of one client address")] = 50
    command_seconds: Annotated[Seconds, Meta(description="seconds a client may take for a command")] = 300.0
    data_seconds: Annotated[
        Seconds, Meta(description="seconds a client may take for mail data, and one more for each KiB")
    ] = 180.0
    memory_threshold: Annotated[
        Count, Meta(description="octets of a message held in memory; a larger one goes to disk while it arrives")
    ] = 262_144


class Queue(Table, frozen=True):
    """Messages that wait."""

    hold: Annotated[bool, Meta(description="hold every new message until it is released")] = False
    min_backoff: Annotated[Seconds, Meta(description="seconds to the second attempt")] = 300.0
    max_backoff: Annotated[Seconds, Meta(description="most seconds between attempts")] = 4000.0
    lifetime: Annotated[Seconds, Meta(description="seconds until an undelivered message is returned")] = 432_000.0
    least_by_time: Annotated[
        int,
        Meta(
            ge=0,
            le=999_999_999,
            description="the least seconds for a message that its sender wants back after them (DELIVERBY); 0: any",
        ),
    ] = 0
    warn_after: Annotated[
        float, Meta(ge=0, le=YEAR, description="seconds until a sender is told that a message waits; 0: never")
    ] = 14_400.0


class Priority(Table, frozen=True):
    """Which message goes first (MT-PRIORITY, RFC 6710)."""

    policy: Annotated[
        Literal["", "MIXER", "STANAG4406", "NSEP"],
        Meta(description="the Priority Assignment Policy that is named in the EHLO reply; empty: none is"),
    ] = "MIXER"
    networks: Annotated[
        list[str],
        Meta(
            description="networks of clients that may ask for more than 0, besides those that log in or are in "
            "relay.networks; for all others more than 0 is 0"
        ),
    ] = []
    highest: Annotated[int, Meta(ge=0, le=9, description="the most that any of them gets")] = 9


class FutureRelease(Table, frozen=True):
    """Messages that are to be sent later (FUTURERELEASE, RFC 4865); on submission listeners alone."""

    max_seconds: Annotated[int, Meta(ge=0, le=YEAR, description="for how long a message may be held; 0: none is")] = (
        2_592_000
    )

    per_sender: Annotated[Count, Meta(description="messages of one reverse-path that wait for their time")] = 100
    total: Annotated[Count, Meta(description="messages of all senders that do")] = 10_000


class Relay(Table, frozen=True):
    """Mail for domains that are not ours."""

    default: Annotated[str, Meta(description='"mx", "smtp:HOST:PORT" or "smtps:HOST:PORT"')] = "mx"
    networks: Annotated[list[str], Meta(description="networks of clients that may send anywhere")] = []
    source: Annotated[
        list[str],
        Meta(
            description="our own IP addresses that connections to other hosts come from, one of each family; empty: "
            "the system chooses"
        ),
    ] = []
    concurrency: Annotated[Count, Meta(description="connections to one next hop at once")] = 20
    rrvs_field: Annotated[
        list[str],
        Meta(
            description="domains whose servers are known to obey the field Require-Recipient-Valid-Since: it is added "
            "for a recipient there whose sender allows that (RRVS with ;C), where the next hop lacks RRVS"
        ),
    ] = []
    tls: Annotated[
        Literal["none", "may", "encrypt", "verify"] | None,
        Meta(
            description="how connections to other hosts are protected at least: may uses STARTTLS where it is offered, "
            "encrypt sends nothing without it, verify looks at the certificate too; left out: verify where we log in, "
            "else may"
        ),
    ] = None
    dane: Annotated[
        bool,
        Meta(description="what TLSA records say of a host is insisted on, if a resolver validates them (RFC 7672)"),
    ] = True
    mta_sts: Annotated[
        bool, Meta(description="what a domain's MTA-STS policy says of its hosts is insisted on (RFC 8461)")
    ] = True
    authorities: Annotated[
        str, Meta(description="a file of the certificates of authorities that are believed; empty: the system's")
    ] = ""
    user: Annotated[str, Meta(description="our name at the default next hop, to log in with; empty: no login")] = ""
    password: Annotated[str, Meta(description="our password there")] = ""
    password_file: Annotated[str, Meta(description="a file that holds it instead")] = ""
    auth_without_tls: Annotated[
        bool, Meta(description="send the password where TLS does not protect the connection")
    ] = False


class Forwarding(Table, frozen=True):
    """Mail that goes on to another address: who answers for it, and where its bounces go."""

    repair: Annotated[
        Literal["none", "resent", "srs", "both", "least"],
        Meta(
            description="resent: a Resent-From field names the mailbox that forwards, so that it is responsible; srs: "
            "the reverse-path becomes an address of ours that leads back to the sender (SRS); both; none: neither; "
            "least: the least of these that the next hop is expected to let pass"
        ),
    ] = "resent"
    addresses: Annotated[
        list[str],
        Meta(
            description="the IP addresses that other hosts see this server connect from, for predictions (least); "
            "empty: relay.source, else those that the DNS has for hostname"
        ),
    ] = []
    seal: Annotated[
        bool,
        Meta(
            description="say under an ARC seal (RFC 8617) what was found about a message, where [[dkim]] has a key for "
            "the domain of the mailbox that forwards"
        ),
    ] = True
    dmarc_fail: Annotated[
        Literal["policy", "refuse", "forward"],
        Meta(
            description="what is not forwarded of mail that fails DMARC: policy: that of domains which ask for more "
            "than none; refuse: all of it; forward: nothing is held back"
        ),
    ] = "policy"
    srs_domain: Annotated[
        str, Meta(description="the domain of SRS addresses, its MX this server; empty: that of the mailbox")
    ] = ""
    srs_secret_file: Annotated[
        str,
        Meta(
            description="the secrets of SRS addresses, one a line, as PostSRSd keeps them: the first signs, all are "
            "believed; empty: one is made in state_dir"
        ),
    ] = ""
    srs_days: Annotated[
        int, Meta(ge=1, le=500, description="days for which bounces find their way back by an SRS address")
    ] = 21
    srs_hash_length: Annotated[
        int, Meta(ge=4, le=20, description="characters of its hash; fewer than these are not believed")
    ] = 4
    srs_separator: Annotated[Literal["=", "+", "-"], Meta(description="what stands behind SRS0 and SRS1")] = "="


class TlsPolicy(Table, frozen=True):
    """What is asked of the connections for some domains, in place of `relay.tls` and of what they publish."""

    domains: Annotated[
        list[str], Meta(min_length=1, description="domains of recipients, or the host of a route smtp:HOST:PORT")
    ]
    level: Annotated[
        Literal["none", "may", "encrypt", "verify", "dane"],
        Meta(description="as relay.tls, whatever the domain publishes; dane: nothing goes without its TLSA records"),
    ] = "verify"
    names: Annotated[
        list[str],
        Meta(
            description="names that the certificate may have, .NAME for all below one; empty: the host of the route, "
            "or where MX records say who that is the domain or a name below it"
        ),
    ] = []


class ReportTable(Table, frozen=True):
    """What daily reports of all kinds have in common."""

    send: Annotated[bool, Meta(description="count what there is to tell, and send it; false: neither")] = True
    organization: Annotated[str, Meta(description="who reports; empty: the host name")] = ""
    contact: Annotated[
        str, Meta(description="the address for questions; its domain reports; empty: postmaster at the host name")
    ] = ""
    from_: Annotated[
        str, Meta(description="the From of reports by mail, in a domain that mail is signed for; empty: contact")
    ] = field(default="", name="from")


class TlsReport(ReportTable, frozen=True):
    """Daily reports about TLS to the domains that mail went to and that ask for them (TLSRPT, RFC 8460)."""


class DmarcReport(ReportTable, frozen=True):
    """Reports to the domains that mail named as authors and that ask for them: daily ones (RFC 9990), and where
    `failures` says so others at once (RFC 9991)."""

    failures: Annotated[
        bool,
        Meta(
            description="tell a domain that asks for it (ruf=) about a message that fails, at once and with its "
            "header, in which recipients are made unrecognisable (RFC 9991)"
        ),
    ] = False


class Etrn(Table, frozen=True):
    """Clients that may start the delivery of what waits for their domains (ETRN, RFC 1985)."""

    networks: Annotated[list[str], Meta(description="networks of the clients; to no other ETRN is offered")] = []
    domains: Annotated[list[str], Meta(description="what they may ask for, all domains below these included")] = []
    queue: Annotated[str, Meta(description="a name for all of it: ETRN #NAME")] = ""
    seconds: Annotated[Seconds, Meta(description="seconds until a client may ask for the same again")] = 60.0


class Odmr(Table, frozen=True):
    """A user whose host comes for the mail of its domains (ATRN, RFC 2645), at a listener with `service = "odmr"`."""

    user: Annotated[str, Meta(min_length=1, description="the name that the host logs in with")]
    domains: Annotated[list[str], Meta(description='domains whose mail it gets, each a [[domain]] by "odmr"')] = []
    seconds: Annotated[float, Meta(ge=0, le=YEAR, description="seconds until it may ask for the same again")] = 10.0


class Fetch(Table, frozen=True):
    """A provider where mail for our domains waits, and that sends it when we log in and ask for it (ATRN, RFC 2645)."""

    host: Annotated[str, Meta(min_length=1, description="HOST or HOST:PORT; the usual port is 366")]
    user: Annotated[str, Meta(min_length=1, description="our name there")]
    password_file: Annotated[str, Meta(min_length=1, description="a file with our password there in its first line")]
    domains: Annotated[
        list[str], Meta(description="what to ask for, each a [[domain]]; empty: all that the provider has for us")
    ] = []
    every: Annotated[
        float, Meta(ge=0, le=YEAR, description="seconds between two times; 0: only when `purport odmr` says so")
    ] = 900.0
    tls: Annotated[
        Literal["none", "encrypt", "verify"],
        Meta(description="verify: TLS with a look at the certificate; encrypt: with any; none: in clear"),
    ] = "verify"
    auth_without_tls: Annotated[
        bool, Meta(description="send the password where TLS does not protect the connection")
    ] = False


class Ledger(Table, frozen=True):
    """The record of every transaction, for `purport explain`."""

    retention_days: Annotated[Count, Meta(description="days after which a day's records are deleted")] = 30


class Settings(Table, frozen=True):
    """The whole file."""

    hostname: Annotated[str, Meta(description="our name: in the greeting, in Received fields, in reports")]
    listener: Annotated[list[Listener], Meta(min_length=1, description="addresses to listen on")]
    state_dir: Annotated[
        str,
        Meta(min_length=1, description="spool, ledger, control socket and Maildirs; relative to this file's folder"),
    ] = "state"
    workers: Annotated[int, Meta(ge=1, description="processes; this release serves with one")] = 1
    dns: Dns = field(default_factory=Dns)
    tls: Tls = field(default_factory=Tls)
    certificate: Annotated[list[Certificate], Meta(description="certificates for TLS")] = []
    domain: Annotated[list[Domain], Meta(description="domains that mail is received for")] = []
    user: Annotated[list[User], Meta(description="users who may log in")] = []
    users: Users = field(default_factory=Users)
    auth: Auth = field(default_factory=Auth)
    oauth: Oauth = field(default_factory=Oauth)
    credentials: Annotated[list[Credentials], Meta(description="our logins at next hops")] = []
    submission: Submission = field(default_factory=Submission)
    dkim: Annotated[list[Dkim], Meta(description="keys that mail is signed with")] = []
    dkim_sign: DkimSign = field(default_factory=DkimSign)
    dkim_tables: DkimTables = field(default_factory=DkimTables)
    submitter: Submitter = field(default_factory=Submitter)
    spf: Spf = field(default_factory=Spf)
    dmarc: Dmarc = field(default_factory=Dmarc)
    authentication_results: AuthenticationResults = field(default_factory=AuthenticationResults)
    trusted_hops: TrustedHops = field(default_factory=TrustedHops)
    limits: Limits = field(default_factory=Limits)
    queue: Queue = field(default_factory=Queue)
    priority: Priority = field(default_factory=Priority)
    future_release: FutureRelease = field(default_factory=FutureRelease)
    relay: Relay = field(default_factory=Relay)
    forwarding: Forwarding = field(default_factory=Forwarding)
    tls_policy: Annotated[list[TlsPolicy], Meta(description="protection on the way to some domains")] = []
    tls_report: TlsReport = field(default_factory=TlsReport)
    dmarc_report: DmarcReport = field(default_factory=DmarcReport)
    etrn: Annotated[list[Etrn], Meta(description="clients that may start the delivery of what waits for them")] = []
    odmr: Annotated[list[Odmr], Meta(description="users whose hosts come for the mail of their domains")] = []
    fetch: Annotated[list[Fetch], Meta(description="providers that have mail for us")] = []
    ledger: Ledger = field(default_factory=Ledger)


def struct_of(kind: inspect.Type) -> inspect.StructType | None:
    """The table that a setting is: one, or a list of them."""
    kind = without_meta(kind)
    if isinstance(kind, inspect.ListType):
        kind = without_meta(kind.item_type)
    return kind if isinstance(kind, inspect.StructType) else None


def without_meta(kind: inspect.Type) -> inspect.Type:
    """The type below its description."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def fields() -> tuple[inspect.Field, ...]:
    """The settings at the top of the file, tables among them."""
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    return found.fields


def type_at(path: tuple[str | int, ...]) -> inspect.Type | None:
    """The type of the setting at a path such as ("listener", 0, "service"); None where there is no such key."""
    kind: inspect.Type = inspect.type_info(Settings)
    for part in path:
        if isinstance(kind, inspect.ListType) and isinstance(part, int):
            kind = without_meta(kind.item_type)
        elif isinstance(kind, inspect.StructType):
            found = [one.type for one in kind.fields if one.encode_name == part]
            if not found:
                return None
            kind = without_meta(found[0])
        else:
            return None
    return kind


def fields_at(path: tuple[str | int, ...]) -> list[str]:
    """The keys of the table at a path."""
    kind = type_at(path)
    return [one.encode_name for one in kind.fields] if isinstance(kind, inspect.StructType) else []


def words_at(path: tuple[str | int, ...]) -> list[str]:
    """The words that a setting may be."""
    kind = type_at(path)
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [str(word) for one in kinds if isinstance(one, inspect.LiteralType) for word in one.values]


def tables_with(name: str) -> list[str]:
    """The tables that know a key."""
    found = [(one.encode_name, struct_of(one.type)) for one in fields()]
    return [table for table, kind in found if kind and any(one.encode_name == name for one in kind.fields)]
