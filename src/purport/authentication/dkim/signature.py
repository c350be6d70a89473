"""The DKIM-Signature field (RFC 6376 section 3.5), and what can be wrong with it before any key is known.

DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; s=brisbane;
 t=1117574938; h=from:to:subject:date; bh=MTIzNDU2...; b=dzdVyOfAKCdL...

An ARC-Message-Signature is read by the same rules (RFC 8617 section 4.1.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from purport.authentication.dkim.body import BodyForm
from purport.authentication.dkim.key import Kind
from purport.authentication.dkim.result import ResultWord, shown
from purport.authentication.dkim.tags import base64_value, read_tags, words
from purport.dns.lookup import Question
from purport.mail.domain import a_label_form
from purport.mail.header import Field, Header

FIELD: Final = "dkim-signature"
LOOKED_AT: Final = 20  # signatures of a message; one that passed some lists has five. Each may cost a question
SIGNED_FIELDS: Final = 1000  # names in h=
NAME_OCTETS: Final = 253  # of a name in the DNS, written out
SHA256_OCTETS: Final = 32
# A host name, with "_" as it stands in names that are none of hosts. No other octet may reach a question.
LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME: Final = re.compile(rf"{LABEL}(?:\.{LABEL})*")
FIELD_NAME: Final = re.compile(r"[!-9;-~]+")
DIGITS: Final = re.compile(r"[0-9]{1,76}")
QUOTED: Final = re.compile(rb"=([0-9A-F]{2})")
KINDS: Final[Mapping[str, Kind]] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
FORMS: Final = {"simple": False, "relaxed": True}
INFINITE: Final = 10**12  # seconds since 1970; section 3.5 lets longer numbers count as that


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it stands in a header.

    `result` and `problem` are given where it can be neither verified nor trusted, whatever the key; nothing but
    `domain` and `selector` is then sure to mean anything, and these only where they are names.
    """

    field: Field
    result: ResultWord | None = None
    problem: str = ""
    algorithm: str = ""
    domain: str = ""  # d=: A-labels, lower case
    selector: str = ""  # s=: likewise
    identity: str = ""  # i=, or what stands for it
    instance: int = 0  # of an ARC-Message-Signature
    relaxed: bool = False  # the canonical form of the header
    form: BodyForm = BodyForm(relaxed=False)  # and what is signed of the body  # noqa: RUF009  # a frozen value
    signed: tuple[str, ...] = ()  # h=: names in lower case
    body_hash: bytes = b""
    octets: bytes = b""  # b=
    b: str = ""  # the beginning of it, as it is written
    signed_at: int | None = None  # seconds since 1970
    expires_at: int | None = None

    @property
    def kind(self) -> Kind:
        """The type of its key."""
        return KINDS[self.algorithm]

    @property
    def question(self) -> Question:
        """What is asked for its key."""
        return Question(key_name(self.selector, self.domain), "TXT")


class Malformed(ValueError):
    """A signature cannot be used; the message says why."""


def signatures(header: Header) -> tuple[Signature, ...]:
    """The signatures of a message, the topmost first.

    No more than LOOKED_AT of them are read; one more entry then says how many are left.
    """
    fields = header.by_name.get(FIELD, ())
    found = tuple([read_signature(field) for field in fields[:LOOKED_AT]])
    left = len(fields) - len(found)
    if not left:
        return found
    return (*found, Signature(fields[LOOKED_AT], "neutral", f"{left} more signatures were not looked at"))


def read_signature(field: Field, *, arc: bool = False) -> Signature:
    """A signature, or what is wrong with it; `arc`: that of an ARC-Message-Signature. Never raises."""
    domain = selector = ""
    try:
        tags = _tags(field)
        domain, selector = dns_name(tags.get("d", ""), "d="), dns_name(tags.get("s", ""), "s=")
        return _read(field, domain, selector, tags, arc)
    except Malformed as error:
        return Signature(field, "permerror", shown(str(error)), domain=domain, selector=selector)


def read_seal(field: Field) -> tuple[Signature, str]:
    """What an ARC-Seal shares with a signature, and its cv= (RFC 8617 section 4.1.3). Never raises."""
    domain = selector = ""
    try:
        tags = _tags(field)
        domain, selector = dns_name(tags.get("d", ""), "d="), dns_name(tags.get("s", ""), "s=")
        if "h" in tags:
            raise Malformed("h= has no place in a seal")
        found = Signature(
            field,
            algorithm=_algorithm(tags.get("a", "")),
            domain=domain,
            selector=selector,
            instance=_instance(tags),
            relaxed=True,
            octets=_octets(tags, "b"),
            signed_at=_number(tags, "t"),
        )
    except Malformed as error:
        return Signature(field, "permerror", shown(str(error)), domain=domain, selector=selector), ""
    return found, tags.get("cv", "")


def key_name(selector: str, domain: str) -> str:
    """Where the key of a selector is (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def dns_name(text: str, tag: str) -> str:
    """A domain or a selector as it can be asked for: in A-labels and lower case. Raises Malformed."""
    if not text:
        raise Malformed(f"{tag} is missing")
    name = text.lower()
    if not text.isascii():  # RFC 8616 section 5
        try:
            name = a_label_form(text).lower()
        except ValueError as error:
            raise Malformed(f"{tag} is no name: {error}") from error
    if len(name) > NAME_OCTETS or NAME.fullmatch(name) is None:
        raise Malformed(f"{tag} is no name: {shown(text, 60)}")
    return name


def _tags(field: Field) -> dict[str, str]:
    try:
        return read_tags(field.value.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Malformed("it is no UTF-8") from error
    except ValueError as error:
        raise Malformed(str(error)) from error


def _read(field: Field, domain: str, selector: str, tags: Mapping[str, str], arc: bool) -> Signature:
    instance = _instance(tags) if arc else _version(tags)
    if "." not in domain:  # RFC 6376 section 3.5: domain-name = sub-domain 1*("." sub-domain)
        raise Malformed("d= is a top-level domain")
    if len(key_name(selector, domain)) > NAME_OCTETS:
        raise Malformed("d= and s= are too long for a name")
    algorithm = _algorithm(tags.get("a", ""))
    relaxed, relaxed_body = _forms(tags.get("c", "simple/simple"))
    if "dns/txt" not in words(tags.get("q", "dns/txt").lower()):
        raise Malformed("its key is not in the DNS (q=)")
    body_hash = _octets(tags, "bh")
    if len(body_hash) != SHA256_OCTETS:
        raise Malformed("bh= has not the length of a hash")
    signed_at, expires_at = _number(tags, "t"), _number(tags, "x")
    if signed_at is not None and expires_at is not None and expires_at <= signed_at:
        raise Malformed("it expires (x=) before it is made (t=)")
    return Signature(
        field,
        algorithm=algorithm,
        domain=domain,
        selector=selector,
        identity="" if arc else _identity(tags.get("i"), domain),
        instance=instance,
        relaxed=relaxed,
        form=BodyForm(relaxed_body, _number(tags, "l")),
        signed=_signed(tags.get("h", ""), arc),
        body_hash=body_hash,
        octets=_octets(tags, "b"),
        b="".join(tags["b"].split())[:8],
        signed_at=signed_at,
        expires_at=expires_at,
    )


def _version(tags: Mapping[str, str]) -> int:
    if tags.get("v") != "1":
        raise Malformed(f"it is not of version 1 (v={shown(tags['v'], 20)})" if "v" in tags else "v= is missing")
    return 0


def _instance(tags: Mapping[str, str]) -> int:
    text = tags.get("i", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= 50):  # RFC 8617 section 4.2.1
        raise Malformed("i= is no instance")
    return int(text)


def _algorithm(value: str) -> str:
    if not value:
        raise Malformed("a= is missing")
    algorithm = value.lower()
    if algorithm == "rsa-sha1":
        raise Malformed("rsa-sha1 is not valid any more (RFC 8301)")
    if algorithm not in KINDS:
        raise Malformed(f"its algorithm is unknown (a={shown(value, 40)})")
    return algorithm


def _forms(value: str) -> tuple[bool, bool]:
    header, slash, body = value.lower().partition("/")
    try:
        return FORMS[header], FORMS[body if slash else "simple"]
    except KeyError:
        raise Malformed(f"its canonicalization is unknown (c={shown(value, 40)})") from None


def _octets(tags: Mapping[str, str], name: str) -> bytes:
    if not tags.get(name):
        raise Malformed(f"{name}= is missing")
    try:
        return base64_value(tags[name])
    except ValueError as error:
        raise Malformed(f"{name}= cannot be read: {error}") from error


def _number(tags: Mapping[str, str], name: str) -> int | None:
    if name not in tags:
        return None
    if DIGITS.fullmatch(tags[name]) is None:
        raise Malformed(f"{name}= is no number")
    return min(int(tags[name]), INFINITE)


def _signed(value: str, arc: bool) -> tuple[str, ...]:
    if not value:
        raise Malformed("h= is missing")
    names = words(value.lower())
    if len(names) > SIGNED_FIELDS:
        raise Malformed(f"h= has more than {SIGNED_FIELDS} names")
    if not all(map(FIELD_NAME.fullmatch, names)):
        raise Malformed("h= is no list of field names")
    if not arc and "from" not in names:  # section 5.4
        raise Malformed("From is not signed")
    return names


def _identity(value: str | None, domain: str) -> str:
    """i= (RFC 6376 section 3.5), printable; of `domain` or a subdomain of it."""
    if value is None:
        return f"@{domain}"
    text = _unquoted("".join(value.split()))
    local_part, at, of = text.rpartition("@")
    if not at:
        raise Malformed("i= is no address")
    name = dns_name(of, "i=")
    if name != domain and not name.endswith(f".{domain}"):
        raise Malformed("i= is of another domain than d=")
    return f"{shown(local_part, 64)}@{name}"


def _unquoted(text: str) -> str:
    """Text of dkim-quoted-printable (RFC 6376 section 2.11); each escape is an octet of UTF-8."""
    if "=" not in text:
        return text
    octets = QUOTED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return octets.decode("utf-8", "replace")
