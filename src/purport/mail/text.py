"""Text of others, made safe to be shown."""

from __future__ import annotations


def safe(text: str) -> str:
    """Text as a terminal may have it, in one line: no control characters, no escapes, no lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text.encode("utf-8", "backslashreplace").decode("utf-8")
    )
