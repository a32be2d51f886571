"""The metadata block of a card: YAML between two lines of dashes.

Every text is a double-quoted scalar (YAML 1.2, Sec. 7.3.1), so that no name can end the block,
become a key or a number, or name a tag.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def front_matter(metadata: Mapping[str, Any]) -> str:
    """The block of a mapping of JSON's types, whose keys are plain words."""
    return "\n".join(["---", *_lines(metadata, ""), "---", ""])


def _lines(value: Mapping[str, Any] | Sequence[Any], indent: str) -> Iterator[str]:
    entries = (
        [(f"{name}:", inner) for name, inner in value.items()]
        if isinstance(value, Mapping)
        else [("-", inner) for inner in value]
    )
    for head, inner in entries:
        if isinstance(inner, Mapping | list | tuple) and inner:
            nested = list(_lines(inner, f"{indent}  "))
            if head == "-":  # the first line stands behind the dash
                yield f"{indent}- {nested[0].lstrip()}"
                nested = nested[1:]
            else:
                yield f"{indent}{head}"
            yield from nested
        else:
            yield f"{indent}{head} {_scalar(inner)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    return json.dumps(value, allow_nan=False)


def _escaped(letter: str) -> str:
    if letter in '\\"':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    number = ord(letter)
    if 0xD800 <= number <= 0xDFFF:  # half of a character, which no file can hold
        return "\\uFFFD"
    return f"\\U{number:08X}"
