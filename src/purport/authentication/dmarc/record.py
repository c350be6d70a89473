"""DMARC Policy Records: which one counts, and what it says (RFC 9989 sections 4.7, 4.8 and 4.10).

v=DMARC1; p=reject; sp=quarantine; np=reject; adkim=s; rua=mailto:reports@example.com; t=y

A tag that breaks the grammar counts as absent (section 4.8), and is on the record's list of problems. Where this is the
policy itself, the record asks for nothing: it stands for p=none if it says where reports go, and for no DMARC at all if
it does not (section 4.10.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeVar, cast
from urllib.parse import unquote

from purport.mail.address import parse_mailbox

T = TypeVar("T")

Request = Literal["none", "quarantine", "reject"]  # what an owner wants done with mail that fails
Mode = Literal["r", "s"]  # relaxed, strict
Psd = Literal["y", "n", "u"]
Tag = Literal["p", "sp", "np"]  # for the domain itself, for those below it that exist, for those that do not

REQUESTS: Final[tuple[Request, ...]] = ("none", "quarantine", "reject")  # from mild to strict
TAGS_LIMIT: Final = 100  # tags read; eleven are registered
MOST_KEPT: Final = 1024  # records kept parsed, each of the length below at most: some megabytes
KEPT_LENGTH: Final = 512
URIS_LIMIT: Final = 20  # places that reports go to; more would make us send much for one record (RFC 9989 section 11.2)

# The version comes first, and its value alone distinguishes case. White space as `equals` and `dmarc-sep` have it.
VERSION: Final = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
TAG: Final = re.compile(r"([A-Za-z]+)[ \t]*=[ \t]*([ -:<-~]*)")  # an empty value is no value of any tag
SEPARATOR: Final = re.compile(r"[ \t]*,[ \t]*")
# RFC 3986, without the comma and the exclamation mark, which must be encoded, and without a fragment. What begins with
# an exclamation mark is the size limit of RFC 7489, which is ignored.
URI: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*):((?:[A-Za-z0-9._~:/?\[\]@$&'()*+=-]|%[0-9A-Fa-f]{2})+)(![0-9]+[KkMmGgTt]?)?"
)
FO: Final = frozenset("01ds")
KNOWN: Final = frozenset({"p", "sp", "np", "adkim", "aspf", "fo", "rua", "ruf", "psd", "t"})
HISTORIC: Final = frozenset({"pct", "rf", "ri"})  # RFC 9989 section 9.3


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What a record says, defaults in place. A policy that is absent, or broken, is None."""

    text: str
    p: Request | None = None
    sp: Request | None = None
    np: Request | None = None
    adkim: Mode = "r"
    aspf: Mode = "r"
    fo: tuple[str, ...] = ("0",)
    rua: tuple[str, ...] = ()
    ruf: tuple[str, ...] = ()
    psd: Psd = "u"
    testing: bool = False
    usable: bool = True  # False: no DMARC processing (RFC 9989 section 4.10.1)
    problems: tuple[str, ...] = ()  # against the grammar
    remarks: tuple[str, ...] = ()  # what is ignored as it should be

    def request(self, tag: Tag) -> Request:
        """What the owner wants done, by the tag that applies."""
        asked = {"p": self.p, "sp": self.sp, "np": self.np}[tag]
        return asked or "none"


def is_record(text: str) -> bool:
    """Whether a TXT record is a DMARC Policy Record at all: its version stands first (RFC 9989 section 4.7)."""
    return VERSION.match(text) is not None


def well_formed(text: str) -> bool:
    """Whether a record is a list of tags with values, whatever they are."""
    return all(not part.strip(" \t") or TAG.fullmatch(part.strip(" \t")) for part in text.split(";", TAGS_LIMIT))


def parse(text: str) -> DmarcRecord:
    """What a record says; the records that are met most often are kept parsed. Raises ValueError for what is no DMARC
    Policy Record."""
    return _parsed_before(text) if len(text) <= KEPT_LENGTH else _parse(text)


def _parse(text: str) -> DmarcRecord:
    version = VERSION.match(text)
    if version is None:
        raise ValueError("it does not begin with v=DMARC1")
    problems: list[str] = []
    remarks: list[str] = []
    tags = _tags(text[version.end() :], problems, remarks)

    def read(name: str, reader: Callable[[str], T], default: T) -> T:
        value = tags.get(name)
        if value is None:
            return default
        try:
            return reader(value)
        except ValueError as error:
            problems.append(f"{name}={value}: {error}")
            return default

    p, sp, np = (read(name, _request, None) for name in ("p", "sp", "np"))
    nowhere: tuple[str, ...] = ()
    default_fo: tuple[str, ...] = ("0",)
    rua = read("rua", lambda value: _uris("rua", value, problems, remarks), nowhere)
    ruf = read("ruf", lambda value: _uris("ruf", value, problems, remarks), nowhere)
    fo = read("fo", _fo, default_fo)
    if "fo" in tags and not ruf:
        remarks.append("fo is ignored without ruf")
        fo = default_fo
    usable = True
    if p is None or any(name in tags and value is None for name, value in (("sp", sp), ("np", np))):
        if "p" not in tags:
            problems.append("p is missing")
        usable = bool(rua)
        p, sp, np = ("none" if usable else None), None, None  # RFC 9989 section 4.10.1
    return DmarcRecord(
        text,
        p,
        sp,
        np,
        read("adkim", _mode, "r"),
        read("aspf", _mode, "r"),
        fo,
        rua,
        ruf,
        read("psd", _psd, "u"),
        read("t", _testing, False),
        usable,
        tuple(problems),
        tuple(remarks),
    )


_parsed_before: Final = lru_cache(MOST_KEPT)(_parse)


def weaker(request: Request) -> Request:
    """One level below: what `t=y` makes of a policy (RFC 9989 section 4.7)."""
    return REQUESTS[max(0, REQUESTS.index(request) - 1)]


def _tags(text: str, problems: list[str], remarks: list[str]) -> dict[str, str | None]:
    """The values of the tags, names in lower case; None for a tag that stands there more than once, since any choice
    among its values would be a guess (RFC 6376 section 3.2)."""
    tags: dict[str, str | None] = {}
    parts = text.split(";", TAGS_LIMIT)
    if len(parts) > TAGS_LIMIT:
        problems.append(f"only the first {TAGS_LIMIT} tags are read")
    for part in parts[:TAGS_LIMIT]:
        written = part.strip(" \t")
        if not written:
            continue
        found = TAG.fullmatch(written)
        if found is None:
            problems.append(f"{written}: this is no tag")
            continue
        name = found[1].lower()
        if name not in KNOWN:
            remarks.append(f"{name} is {'historic' if name in HISTORIC else 'unknown'}, and ignored")
        elif name in tags:
            if tags[name] is not None:
                problems.append(f"{name} is there more than once")
            tags[name] = None
        else:
            tags[name] = found[2]
    if any(not part.strip(" \t") for part in parts[:-1]):
        problems.append("there is nothing between two semicolons")
    return tags


def _one_of(value: str, values: tuple[str, ...]) -> str:
    lower = value.lower()  # ABNF strings have no case (RFC 5234 section 2.3)
    if lower not in values:
        raise ValueError(f"not one of {', '.join(values)}")
    return lower


def _request(value: str) -> Request | None:
    return cast(Request, _one_of(value, REQUESTS))


def _mode(value: str) -> Mode:
    return cast(Mode, _one_of(value, ("r", "s")))


def _psd(value: str) -> Psd:
    return cast(Psd, _one_of(value, ("y", "n", "u")))


def _testing(value: str) -> bool:
    return _one_of(value, ("y", "n")) == "y"


def _fo(value: str) -> tuple[str, ...]:
    options = tuple(value.lower().split(":"))
    if not FO.issuperset(options) or len(set(options)) < len(options):
        raise ValueError("not 0, 1, d and s with colons between them, each once")
    if "0" in options and "1" in options:
        raise ValueError("0 and 1 exclude each other")
    return options


def _uris(tag: str, value: str, problems: list[str], remarks: list[str]) -> tuple[str, ...]:
    """The places of a list that are well formed; the others are problems."""
    uris: list[str] = []
    for text in SEPARATOR.split(value)[:URIS_LIMIT]:
        found = URI.fullmatch(text)
        if found is None or not _destination(found[1], found[2]):
            problems.append(f"{tag}: {text or 'nothing'} is no URI")
            continue
        if found[3]:
            remarks.append(f"{tag}: the size limit {found[3]} is historic, and ignored")
        uris.append(f"{found[1]}:{found[2]}")
    return tuple(uris)


def _destination(scheme: str, rest: str) -> bool:
    """Whether the part behind the scheme is one that the scheme allows: for mailto an address (RFC 6068)."""
    if scheme.lower() != "mailto":
        return True
    try:
        parse_mailbox(unquote(rest.partition("?")[0]), utf8=True)
    except ValueError:
        return False
    return True
