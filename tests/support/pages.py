"""The pages of the documentation, and what a test takes from them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def text_of(name: str) -> str:
    """The text of docs/NAME.md."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def settings_in(text: str) -> list[str]:
    """Its blocks of settings."""
    return re.findall(r"```toml\n(.*?)```", text, re.DOTALL)


def commands_in(text: str) -> list[str]:
    """Its commands, without `purport`."""
    return re.findall(r"^    \$ purport (.+)$", text, re.MULTILINE)
