"""Passwords that stand in files."""

from __future__ import annotations

from pathlib import Path


def secret_in(path: Path, name: str) -> str:
    """The first line of a file that the settings name, or nothing where they name none. Raises OSError and
    ValueError."""
    if not name:
        return ""
    lines = (path.parent / name).read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise ValueError(f"{path.parent / name}: holds no password")
    return lines[0]
