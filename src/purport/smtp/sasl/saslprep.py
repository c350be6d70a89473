"""SASLprep: names and passwords as they are compared (RFC 4013, a profile of stringprep, RFC 3454).

I<SOFT HYPHEN>X  ->  IX            U+2168  ->  IX            a control character  ->  refused
"""

from __future__ import annotations

import stringprep
from typing import Final
from unicodedata import ucd_3_2_0  # RFC 3454 is about Unicode 3.2, and no later one

# RFC 4013 section 2.3.
PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, stored: bool = False) -> str:
    """`text` as it is compared; `stored`: as it is kept, where code points that nobody has assigned yet are refused
    too (RFC 3454 section 7). Raises ValueError."""
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    for character in prepared:
        if any(prohibited(character) for prohibited in PROHIBITED):
            raise ValueError("a character that SASLprep prohibits")
        if stored and stringprep.in_table_a1(character):
            raise ValueError("a character that Unicode 3.2 does not know")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 section 6: right to left is either the whole way, or none of it."""
    if not any(stringprep.in_table_d1(character) for character in text):
        return
    if any(stringprep.in_table_d2(character) for character in text):
        raise ValueError("letters of both directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("a right-to-left text begins and ends with such a letter")
