"""Text of others on one line: without controls and without marks that turn the direction."""

import unicodedata
from typing import Final

UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
"""Unicode categories that no reader sees, or that change what is seen around them."""


def one_line(text: str) -> str:
    """With a space in place of each such character, and one for each run of spaces."""
    plain = (" " if unicodedata.category(letter) in UNSHOWN else letter for letter in text)
    return " ".join("".join(plain).split())
