"""Where mail of ours is fetched."""

from __future__ import annotations

from pathlib import Path

from purport.config.odmr import provider_of
from purport.config.schema import Settings
from purport.delivery.tls_policy import Level
from purport.mail.domain import a_label_form
from purport.parts.secret import secret_in
from purport.service.fetch import Source
from purport.smtp.sasl.credentials import Credentials
from purport.smtp.sasl.saslprep import saslprep


def make_sources(path: Path, settings: Settings) -> tuple[Source, ...]:
    """Where mail for us is fetched. Raises OSError and ValueError for a password's file that cannot be used."""
    sources = []
    for table in settings.fetch:
        host, port = provider_of(table.host)
        literal = f"[{host}]" if ":" in host else host
        password = saslprep(secret_in(path, table.password_file))
        sources.append(
            Source(
                table.host,
                f"smtp:{literal}:{port}",
                Credentials(saslprep(table.user), password, without_tls=table.auth_without_tls),
                tuple(a_label_form(domain).lower() for domain in table.domains),
                table.every,
                Level[table.tls.upper()],
            )
        )
    return tuple(sources)
