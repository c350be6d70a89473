"""SRS, the Sender Rewriting Scheme: a reverse-path of ours that leads back to the one it was made of.

    SRS0=vmyz=2W=otherdomain.com=test@forwarder.example              hash, day, domain and local part of the sender
    SRS1=k0PJ=forwarder.example==vmyz=2W=otherdomain.com=test@second.example          of a second forwarder

There is no RFC. The format is that of Mail::SRS, libsrs2 and PostSRSd, hashes included: a file of PostSRSd's secrets
goes on working. Whoever has no secret can make no address that we send reports to; who has one of our addresses can
use it for some days, and with the null reverse-path alone (the caller sees to that), so that we are no open relay.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, final

from purport.mail.address import LOCAL_PART_OCTETS, Mailbox, parse_mailbox
from purport.mail.domain import is_address_literal, normal_domain

TAGS: Final = ("SRS0", "SRS1")
SEPARATORS: Final = "=+-"  # behind the tag; between the parts it is always "="
BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
DAYS: Final = 1024  # two digits of BASE32: days come round again after these
DAY: Final = 86400  # seconds
LENGTH: Final = 4  # characters of a hash, as everybody makes them: some 21 bits, as their case does not count
LONGEST: Final = 27  # characters of a whole hash (SHA-1) without its padding


class CannotRewrite(ValueError):
    """There is no SRS address for this reverse-path; the text says why."""


class NotOurs(ValueError):
    """An SRS address that we did not make, or not of late; the text says why."""


def is_srs(local_part: str) -> bool:
    """Whether a local part has the form of SRS, whoever made it."""
    return local_part[:4].upper() in TAGS and local_part[4:5] in SEPARATORS and len(local_part) > 5


@final
@dataclass(frozen=True, slots=True, repr=False)
class Srs:
    """Makes and reads such addresses. Of `secrets` the first signs, and every one of them is believed, so that a new
    one can be put before the old."""

    secrets: tuple[bytes, ...]
    separator: str = "="
    days: int = 21  # for which reports find their way back
    length: int = LENGTH

    def rewritten(self, reverse_path: Mailbox, domain: str, now: float) -> Mailbox:
        """The address at `domain`, one of ours, that leads back to `reverse_path`. Raises CannotRewrite."""
        local_part, host = reverse_path.local_part, _host(reverse_path)
        if is_srs(local_part):
            if host == normal_domain(domain):
                return reverse_path  # it leads back already, and would not any more from inside of another
            tag, rest = local_part[:4].upper(), local_part[4:]
            if tag == "SRS1":  # the second forwarder's part makes room for ours: reports go to the first one at once
                _, _, inner = rest[1:].partition("=")
                host, found, rest = inner.partition("=")
                if not found or not host or not rest:
                    raise CannotRewrite("its reverse-path only looks like SRS1")
            made = f"SRS1{self.separator}{self._hash(host, rest)}={host}={rest}"
        else:
            day = _day(now)
            made = f"SRS0{self.separator}{self._hash(day, host, local_part)}={day}={host}={local_part}"
        octets = len(made.encode("utf-8"))
        if octets > LOCAL_PART_OCTETS:  # not every server would take it (RFC 5321 section 4.5.3.1.1)
            raise CannotRewrite(f"its SRS address would have a local part of {octets} octets")
        return Mailbox(made, domain)

    def original(self, local_part: str, now: float) -> Mailbox:
        """The reverse-path that an address of ours was made of: for SRS1 that of the first forwarder. Raises
        NotOurs."""
        count = 3 if local_part[:4].upper() == "SRS1" else 4
        parts = local_part[5:].split("=", count - 1)
        if not is_srs(local_part) or len(parts) < count or not all(parts):
            raise NotOurs("it is not complete")
        given, *signed = parts
        self._verify(given, signed)
        if count == 3:
            host, rest = signed
            found = Mailbox(f"SRS0{rest}", host)
        else:
            day, host, sender = signed
            if not _is_recent(day, now, self.days):
                raise NotOurs(f"it is older than {self.days} days")
            found = Mailbox(sender, host)
        try:
            return parse_mailbox(str(found), utf8=True)
        except ValueError as error:
            raise NotOurs(f"it holds no address: {error}") from None

    def _verify(self, given: str, signed: list[str]) -> None:
        """Servers on the way may have changed the case of a local part, so it does not count."""
        if not self.length <= len(given) <= LONGEST or not given.isascii():
            raise NotOurs("its hash has another length than ours")
        octets = given.lower().encode("ascii")
        if not any(
            hmac.compare_digest(_digest(secret, signed)[: len(given)].lower(), octets) for secret in self.secrets
        ):
            raise NotOurs("its hash is not one of ours")

    def _hash(self, *signed: str) -> str:
        return _digest(self.secrets[0], signed)[: self.length].decode("ascii")


def _host(reverse_path: Mailbox) -> str:
    """The domain as it stands inside: a name of ASCII letters."""
    domain = reverse_path.domain
    if is_address_literal(domain):
        raise CannotRewrite("its domain is an address literal")
    return domain if domain.isascii() else normal_domain(domain)


def _digest(secret: bytes, signed: list[str] | tuple[str, ...]) -> bytes:
    """The parts one behind the other in lower case, as everybody does it; nothing stands between them, which moves a
    character from domain to local part at most."""
    octets = "".join(signed).lower().encode("utf-8")
    return base64.b64encode(hmac.new(secret, octets, hashlib.sha1).digest())


def _day(now: float) -> str:
    day = int(now // DAY) % DAYS
    return BASE32[day >> 5] + BASE32[day & 31]


def _is_recent(day: str, now: float, days: int) -> bool:
    places = [BASE32.find(letter) for letter in day.upper()]
    if len(places) != 2 or min(places) < 0:
        return False
    return (int(now // DAY) - (places[0] << 5) - places[1]) % DAYS <= days
