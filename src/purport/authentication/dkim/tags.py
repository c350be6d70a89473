"""Lists of tags and values, as signatures and key records are written (RFC 6376 section 3.2).

v=1; a=rsa-sha256; d=example.com; s=brisbane; h=from : to; bh=MTIz NDU2; b=dzdV yOfA
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from typing import Final

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # neither VALCHAR nor white space
WSP: Final = " \t"
SHOWN: Final = 40  # characters of what is wrong that a problem quotes


def read_tags(text: str) -> dict[str, str]:
    """The values by name, in order, without the white space around them. Raises ValueError.

    Text beyond ASCII may stand in values (RFC 8616 section 5).
    """
    if "\n" in text:
        text = FOLD.sub("", text)
    if not text.isprintable() and CONTROL.search(text) is not None:
        raise ValueError("there is a control character among the tags")
    specs = text.split(";")
    if not specs[-1].strip(WSP):
        specs.pop()
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(WSP)
        if not equals or NAME.fullmatch(name) is None:
            raise ValueError(f"{spec.strip(WSP)[:SHOWN]!a} is no tag with a value")
        if name in tags:  # "the entire tag-list is invalid"
            raise ValueError(f"the tag {name[:SHOWN]}= stands there twice")
        tags[name] = value.strip(WSP)
    return tags


def words(value: str) -> tuple[str, ...]:
    """The words of a value that is a list with colons, white space around them left out."""
    return tuple([word.strip(WSP) for word in value.split(":")])


def base64_value(value: str) -> bytes:
    """The octets of a base64 value, in which white space means nothing, and which may lack its padding (base64string
    in RFC 6376 section 2.10). Raises ValueError."""
    text = "".join(value.split())
    try:
        return a2b_base64((text + "=" * (-len(text) % 4)).encode("ascii"), strict_mode=True)
    except (NotBase64, UnicodeEncodeError) as error:
        raise ValueError("it is no base64") from error
