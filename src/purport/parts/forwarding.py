"""Where mail goes on to, and under which names."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Final

from purport.config.check import local_part_of
from purport.config.load import SettingsError, state_folder
from purport.config.schema import Settings
from purport.forwarding.aliases import address_in
from purport.forwarding.expansion import Forwards, leads_somewhere
from purport.forwarding.srs import Srs
from purport.mail.address import Mailbox, normal_local_part
from purport.mail.domain import a_label_form
from purport.parts.policy import existing, mailboxes_of
from purport.service.alias_files import WrongAliases, aliases_in
from purport.service.forwarding import ForwardDesk
from purport.service.lookup_command import LookupCommand

SRS_SECRET: Final = "srs-secret"  # in state_dir
SRS_SECRET_OCTETS: Final = 24  # of chance, as text: more than the hash that it keys can show


def make_forwarding(path: Path, settings: Settings) -> ForwardDesk | None:
    """What listeners know about mail that goes on; None where none does. Raises SettingsError."""
    forwards = make_forwards(path, settings)
    table = settings.forwarding
    if not forwards.entries and not forwards.asked and not table.srs_secret_file:
        return None
    return ForwardDesk(
        hostname=settings.hostname,
        forwards=forwards,
        srs=Srs(srs_secrets(path, settings), table.srs_separator, table.srs_days, table.srs_hash_length),
        ours=forwards.ours,
        srs_domain=table.srs_domain.lower(),
        repair=table.repair,
        addresses=tuple(table.addresses or settings.relay.source),
        dmarc_fail=table.dmarc_fail,
        commands={
            a_label_form(domain.name).lower(): LookupCommand(domain.forward_command, time.monotonic)
            for domain in settings.domain
            if domain.forward_command
        },
        exists=existing(settings, forwards),
    )


def make_forwards(path: Path, settings: Settings) -> Forwards:
    """Where mail goes on to, by the settings and the alias files. Raises SettingsError."""
    entries: dict[str, dict[str, tuple[Mailbox, ...]]] = {}
    for domain in settings.domain:
        names: dict[str, tuple[Mailbox, ...]] = {}
        if domain.aliases:
            try:
                names |= aliases_in(path.parent / domain.aliases)
            except WrongAliases as error:
                raise SettingsError(str(path), 0, f"domain {domain.name}: aliases", str(error)) from error
        for name, targets in domain.forwards.items():
            names[normal_local_part(local_part_of(name))] = tuple([address_in(target) for target in targets])
        if names:
            entries[a_label_form(domain.name).lower()] = names
    asked = frozenset(a_label_form(domain.name).lower() for domain in settings.domain if domain.forward_command)
    forwards = Forwards(frozenset(mailboxes_of(settings)), entries, asked)
    exists = existing(settings, forwards)
    for owner in forwards.owners():
        if not leads_somewhere(forwards, owner, exists):
            problem = f"{owner} is to get the bounces of a list, but leads to no mailbox"
            raise SettingsError(str(path), 0, f"domain {owner.domain}: aliases", problem)
    return forwards


def known_srs(path: Path, settings: Settings) -> Srs | None:
    """What reads our SRS addresses, where there is a secret already. Raises SettingsError."""
    if not settings.forwarding.srs_secret_file and not (state_folder(path, settings) / SRS_SECRET).exists():
        return None
    table = settings.forwarding
    return Srs(srs_secrets(path, settings), table.srs_separator, table.srs_days, table.srs_hash_length)


def srs_secrets(path: Path, settings: Settings) -> tuple[bytes, ...]:
    """The secrets of SRS addresses: those of the file that is named, else one of our own, made when it is first asked
    for. Raises SettingsError."""
    named = settings.forwarding.srs_secret_file
    place = path.parent / named if named else state_folder(path, settings) / SRS_SECRET
    try:
        if not named and not place.exists():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{secrets.token_urlsafe(SRS_SECRET_OCTETS)}\n")
        found = tuple([line.strip() for line in place.read_bytes().splitlines() if line.strip()])
    except OSError as error:
        raise SettingsError(
            str(path), 0, "forwarding.srs_secret_file", f"{place}: {error.strerror or error}"
        ) from error
    if not found:
        raise SettingsError(str(path), 0, "forwarding.srs_secret_file", f"{place}: holds no secret")
    return found
