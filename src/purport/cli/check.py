"""`purport check`: whether the settings file can be used."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import EX_CONFIG, Failure, config_option, settings_of

if TYPE_CHECKING:
    from purport.config.schema import Settings

DAY: Final = 86400.0  # seconds
SOON: Final = 14 * DAY  # a certificate that is renewed by itself has more time left


@click.command("check")
@config_option
def command(config: str | None) -> None:
    """Check the settings file. Exits with 78, naming file, line and key, where it cannot be used."""
    path, settings = settings_of(config)
    if settings.dns.zone:
        check_zone(path, settings)
    if settings.certificate or settings.relay.authorities:
        check_certificates(path, settings)
    check_dkim(path, settings)
    check_reports(path, settings)
    check_users(path, settings)
    check_forwards(path, settings)
    count = len(settings.domain)
    binds = ", ".join(bind for listener in settings.listener for bind in listener.bind)
    click.echo(f"{path}: good: {settings.hostname}, {count} domain{'s' * (count != 1)}, listening on {binds}")


def check_certificates(path: Path, settings: Settings) -> None:
    """Whether the certificates can be used; one that has expired is told, and is no error."""
    from purport.config.load import SettingsError
    from purport.net.certificates import CertificateError, expiry_of
    from purport.parts.front import make_certificates
    from purport.parts.sending import make_client_contexts

    try:
        make_certificates(path, settings)
        make_client_contexts(path, settings)
        for one in settings.certificate:
            left = expiry_of(path.parent / one.chain) - time.time()
            if left < 0:
                click.echo(f"{one.chain}: warning: the certificate has expired", err=True)
            elif left < SOON:
                click.echo(f"{one.chain}: warning: the certificate expires in {left / DAY:.0f} days", err=True)
    except (SettingsError, CertificateError) as error:
        raise Failure(str(error), EX_CONFIG) from error


def check_dkim(path: Path, settings: Settings) -> None:
    """Whether the keys that mail is signed with can be read; and a word about those that others can read."""
    if not (settings.dkim or settings.dkim_tables.signing_table):
        return
    from purport.config.dkim import load_signer
    from purport.config.load import SettingsError

    try:
        load_signer(path, settings)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error
    for file in dict.fromkeys(path.parent / table.key for table in settings.dkim):
        if others_read(file):
            warn(f"{file}: others can read the key", f"chmod 600 {file}")


def check_zone(path: Path, settings: Settings) -> None:
    """Whether the zone file is one: it is a file of its own, which loading the settings does not read."""
    from purport.config import lines
    from purport.config.load import SettingsError
    from purport.parts.resolver import make_resolver

    try:
        make_resolver(path, settings)
    except (OSError, ValueError) as error:
        line = lines.nearest(lines.lines(path.read_text(encoding="utf-8")), ("dns", "zone"))
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise Failure(str(SettingsError(str(path), line, "dns.zone", told)), EX_CONFIG) from error


def check_reports(path: Path, settings: Settings) -> None:
    """Whether TLS reports can be sent by mail; no word where nobody has set up anything for that."""
    table = settings.tls_report
    if not table.send or not (settings.dkim or table.contact or table.from_):
        return
    from purport.config.dkim import load_signer
    from purport.parts.reports import make_organization

    sender = make_organization(settings, table).sender
    if not load_signer(path, settings).keys_for(sender):  # `check_dkim` has read the keys before
        warn(
            f"TLS reports are not sent by mail: there is no DKIM key for {sender.domain}",
            "add a [[dkim]] table for it, or set tls_report.from",
        )


def check_users(path: Path, settings: Settings) -> None:
    """Whether the users file and the files of passwords can be read; and a word about secrets that others can read."""
    from purport.config.load import SettingsError
    from purport.parts.fetch import make_sources
    from purport.parts.secret import secret_in
    from purport.parts.sending import make_credentials
    from purport.users.file import read_users

    file = path.parent / settings.users.file if settings.users.file else None
    try:
        users = {} if file is None else read_users(file)
        make_credentials(path, settings)
        make_sources(path, settings)
        secret_in(path, settings.oauth.client_secret_file)
    except (OSError, ValueError) as error:
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise Failure(str(SettingsError(str(path), 0, "", told)), EX_CONFIG) from error
    if file is not None and users and others_read(file):
        warn(f"{file}: others can read the hashes of the users' passwords", f"chmod 600 {file}")
    if others_read(path) and (keys := secrets_in_clear(settings)):
        warn(f"{path}: others can read {', '.join(keys)}", f"chmod 600 {path}, or keep hashes with `purport user add`")
    services = [listener.service for listener in settings.listener if listener.service in ("submission", "odmr")]
    elsewhere = settings.users.dovecot or settings.oauth.jwks or settings.oauth.introspection
    if services and not (users or settings.user or elsewhere):
        warn(f"{path}: nobody can log in to the {services[0]} service", "add somebody with `purport user add`")


def check_forwards(path: Path, settings: Settings) -> None:
    """Whether the alias files can be used, and the secrets read; and what goes to mailboxes that there are none of."""
    from purport.config.load import SettingsError
    from purport.mail.domain import normal_domain
    from purport.parts.forwarding import make_forwards, srs_secrets
    from purport.parts.policy import existing

    try:
        forwards = make_forwards(path, settings)
        if settings.forwarding.srs_secret_file:
            srs_secrets(path, settings)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error
    exists = existing(settings, forwards)
    for domain, names in forwards.entries.items():
        for name, targets in names.items():
            for target in targets:
                place = target if target.domain else type(target)(target.local_part, domain)
                if normal_domain(place.domain) in forwards.ours and not exists(place):
                    warn(f"{path}: mail of {name}@{domain} goes to {place}, which is no mailbox", "it will bounce")
    secret = settings.forwarding.srs_secret_file
    if secret and others_read(path.parent / secret):
        warn(f"{path.parent / secret}: others can read the secrets of SRS", f"chmod 600 {path.parent / secret}")
    check_commands(path, settings)


def check_commands(path: Path, settings: Settings) -> None:
    """Whether the programs that are asked about mailboxes are there."""
    for domain in settings.domain:
        if domain.forward_command and not os.access(domain.forward_command[0], os.X_OK):
            warn(f"{path}: {domain.forward_command[0]} is no program", f"mail for {domain.name} will have to wait")


def secrets_in_clear(settings: Settings) -> list[str]:
    """The settings that hold a password as it is."""
    found = [f"user[{number}].password" for number, user in enumerate(settings.user) if user.password is not None]
    found += [f"credentials[{number}].password" for number, one in enumerate(settings.credentials) if one.password]
    found += ["relay.password"] if settings.relay.password else []
    return found + (["oauth.client_secret"] if settings.oauth.client_secret else [])


def others_read(path: Path) -> bool:
    """Whether the file's group or everybody may read it."""
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def warn(what: str, advice: str) -> None:
    """Something to mend that keeps no server from starting."""
    from purport.mail.text import safe

    click.echo(safe(f"warning: {what}; {advice}"), err=True)
