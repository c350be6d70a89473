"""A value of the settings that their types cannot tell to be wrong."""

from __future__ import annotations

from purport.config.lines import Path


class Wrong(Exception):
    """Where it stands, why it is wrong, and what would be right."""

    def __init__(self, path: Path, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.suggestion = suggestion
