"""Alias files as in aliases(5) of Postfix and Sendmail: names, and where their mail goes.

    # comment
    postmaster: root
    "bob brown": bob, bob@elsewhere.example,
        bobby@example.net
    team:   :include:/etc/mail/team

Programs and files (`|command`, `/path`) are problems: mail is handed to nobody but mail servers and Maildirs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from purport.mail.address import Mailbox, normal_local_part, parse_mailbox
from purport.mail.fields import single_mailbox

FILE_OCTETS: Final = 16_777_216  # of an alias file or an included list; some hundred thousand lines
INCLUDE: Final = ":include:"
OWNER: Final = "owner-"


@dataclass(frozen=True, slots=True)
class Include:
    """Another file that holds the addresses, one or several in a line."""

    path: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What cannot be used, and why; lines count from 1."""

    line: int
    text: str


Target = Mailbox | Include  # a mailbox without a domain is one of the domain that the file is for


@dataclass(frozen=True, slots=True)
class Alias:
    """One entry: the name as names of ours are compared, and where its mail goes."""

    name: str
    targets: tuple[Target, ...]
    line: int


def read_aliases(text: str) -> tuple[list[Alias], list[Problem]]:
    """The entries of an alias file, in their order, and what is wrong with it."""
    aliases: list[Alias] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for line, logical in _logical_lines(text):
        try:
            name, rest = _name(logical)
        except ValueError as error:
            problems.append(Problem(line, str(error)))
            continue
        if name in seen:
            problems.append(Problem(line, f"{name!a} stands in line {seen[name]} already"))
            continue
        seen[name] = line
        targets, wrong = _targets(rest)
        problems += [Problem(line, f"{name}: {reason}") for reason in wrong]
        if targets:
            aliases.append(Alias(name, tuple(targets), line))
        elif not wrong:
            problems.append(Problem(line, f"{name}: goes nowhere"))
    return aliases, problems


def read_list(text: str) -> tuple[list[Mailbox], list[Problem]]:
    """The addresses of an included file; another file in it is a problem."""
    found: list[Mailbox] = []
    problems: list[Problem] = []
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip() or content.lstrip().startswith("#"):
            continue
        targets, wrong = _targets(content)
        problems += [Problem(line, reason) for reason in wrong]
        for target in targets:
            if isinstance(target, Include):
                problems.append(Problem(line, f"{target.path} cannot be included from here"))
            else:
                found.append(target)
    return found, problems


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them, comments and empty lines left out, and where each begins."""
    begun = 0
    parts: list[str] = []
    for number, content in enumerate(text.splitlines(), 1):
        if not content.strip() or content.lstrip().startswith("#"):
            continue
        if content[0] in " \t" and parts:
            parts.append(content.strip())
            continue
        if parts:
            yield begun, " ".join(parts)
        begun, parts = number, [content.strip()]
    if parts:
        yield begun, " ".join(parts)


def _name(logical: str) -> tuple[str, str]:
    """The name of an entry and what stands behind its colon. Raises ValueError."""
    if logical.startswith('"'):
        end = logical.find('"', 1)
        name, rest = logical[1:end], logical[end + 1 :].lstrip()
        if end < 0 or not rest.startswith(":"):
            raise ValueError("a name in quotes does not end with a quote and a colon")
        rest = rest[1:]
    else:
        name, colon, rest = logical.partition(":")
        name = name.strip()
        if not colon:
            raise ValueError("there is no colon behind the name")
    if not name or not name.isprintable() or "@" in name:
        raise ValueError(f"{name!a} is no local part")
    return normal_local_part(name), rest


def _targets(text: str) -> tuple[list[Target], list[str]]:
    """What stands between the commas, and what is wrong with it."""
    targets: list[Target] = []
    problems: list[str] = []
    for part in _parts(text):
        try:
            targets.append(target_of(part))
        except ValueError as error:
            problems.append(str(error))
    return targets, problems


def _parts(text: str) -> Iterator[str]:
    """What stands between commas that are not in quotes."""
    begin, quoted, escaped = 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            yield from _words(text[begin:position])
            begin = position + 1
    yield from _words(text[begin:])


def _words(part: str) -> Iterator[str]:
    part = part.strip()
    if part:
        yield part


def target_of(text: str) -> Target:
    """One address, local part or `:include:` of the right-hand side. Raises ValueError with the reason."""
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' and "@" not in text else text
    if bare.lower().startswith(INCLUDE):
        path = bare[len(INCLUDE) :].strip().strip('"')
        if not path.startswith("/"):
            raise ValueError(f"{path!a} is no absolute path")
        return Include(path)
    if bare.startswith(("|", "/")):
        kind = "program" if bare.startswith("|") else "file"
        raise ValueError(f"mail is not handed to a {kind} ({bare[:40]!a}): deliver to a mailbox, or over LMTP")
    if bare.startswith("\\"):
        bare = bare[1:]  # "no further alias": here that is what a name in its own entry means
    return address_of(bare)


def address_in(text: str) -> Mailbox:
    """The same where no file can be included, as in the settings. Raises ValueError."""
    found = target_of(text)
    if isinstance(found, Include):
        raise ValueError("a list can be included in an alias file only")
    return found


def address_of(text: str) -> Mailbox:
    """An address, or a local part without a domain. Raises ValueError."""
    if "@" not in text:
        try:
            return Mailbox(parse_mailbox(f"{text}@domain.example", utf8=True).local_part, "")
        except ValueError:
            raise ValueError(f"{text[:80]!a} is no address") from None
    try:
        return parse_mailbox(text, utf8=True)
    except ValueError:
        try:
            return single_mailbox(text)
        except ValueError as error:
            raise ValueError(f"{text[:80]!a} is no address: {error}") from None
