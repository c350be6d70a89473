"""Certificates for a test: an authority of its own, and files as the settings name them."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme


class Authority:
    """Writes certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = trustme.CA()
        self.bundle = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(str(self.bundle))

    def issue(self, *names: str, file: str = "server.pem", expired: bool = False, common: str | None = None) -> Path:
        """One file with key and chain for these names, put in place at once. `common`: the name that old clients want
        to see in the subject too."""
        until = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1) if expired else None
        issued = self.ca.issue_cert(*names, not_after=until, common_name=common)
        path = self.folder / file
        fresh = self.folder / f"{file}.new"
        issued.private_key_and_cert_chain_pem.write_to_path(str(fresh))
        fresh.rename(path)
        return path
