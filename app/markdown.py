"""Text of others inside Markdown: it is shown as it is, and does nothing.

Names of files, corpora and models come from outside. GitHub and Hugging Face render what stands in
a comment or a card, follow links, notify whoever is mentioned and keep some HTML.
"""

import re
from typing import Final

from app.schemas import UNSHOWABLE

_UNSHOWABLE: Final = re.compile(f"[{UNSHOWABLE}\ud800-\udfff]+")
_ESCAPED: Final = (
    {letter: f"\\{letter}" for letter in r"\`*_{}[]()+!|~^$:.-"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    | {"@": "@<!-- -->", "#": "\\#<!-- -->"}  # nobody is notified, nothing is linked
)
CUT: Final = " …"


def prose(text: str, most: int = 2_000) -> str:
    """Text of one line, for a sentence or a cell.

    Args:
        most: characters of the answer, which ends with `CUT` where there are more.
    """
    parts: list[str] = []
    room = most - len(CUT)
    for letter in one_line(text):
        part = _ESCAPED.get(letter, letter)
        room -= len(part)
        if room < 0:
            return f"{''.join(parts)}{CUT}"
        parts.append(part)
    return "".join(parts)


def code(text: str, most: int = 500) -> str:
    """Text of one line as code, outside of tables: nothing in it is active.

    Args:
        most: characters of ``text`` that are kept.
    """
    line = one_line(text)
    line = line if len(line) <= most else f"{line[:most]}{CUT}"
    if not line:
        return "(empty)"
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{line}{space}{fence}"


def one_line(text: str) -> str:
    """Text without ends of lines, control characters and changes of direction."""
    return _UNSHOWABLE.sub(" ", text).strip()
