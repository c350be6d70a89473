"""What all tables have in common, and what their values may be."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

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
