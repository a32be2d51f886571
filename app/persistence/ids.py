"""Identifiers: a prefix that says what the thing is, and a ULID that sorts by time."""

import re
from typing import Literal, get_args

from ulid import ULID

Prefix = Literal["audit", "train", "study", "model", "corpus", "key", "deletion"]
PREFIXES: tuple[str, ...] = get_args(Prefix)

# Crockford's alphabet has no I, L, O, U. Nothing that matches can name another directory.
PATTERN = rf"^({'|'.join(PREFIXES)})_[0-9A-HJKMNP-TV-Z]{{26}}$"
_matches = re.compile(PATTERN.removeprefix("^").removesuffix("$")).fullmatch


def new_id(prefix: Prefix) -> str:
    """A fresh id such as ``audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF``."""
    return f"{prefix}_{ULID()}"


def is_id(text: str, prefix: Prefix | None = None) -> bool:
    """Whether ``text`` has the form of an id, of this kind if a prefix is given."""
    if _matches(text) is None:
        return False
    return prefix is None or text.startswith(f"{prefix}_")
