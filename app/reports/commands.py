"""Commands that a reader can run: an audit again as it was, or with a patch to its request.

Whatever stands in a request is inside a quoted here-document, in which a shell reads nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

END: Final = "AUDIT"
"""Of the here-document. No line of indented JSON is this word alone."""


def pretty(value: object) -> str:
    """JSON for people, in ASCII, so that no letter of it looks like another one."""
    return json.dumps(value, indent=2, ensure_ascii=True)


def lines(request: Mapping[str, Any]) -> str:
    """The same with a line for each field, and for each item of a list of objects."""
    told = []
    for name, value in request.items():
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            items = ",\n".join(f"    {json.dumps(one)}" for one in value)
            told.append(f"  {json.dumps(name)}: [\n{items}\n  ]")
        else:
            told.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(told) + "\n}"


def submit(
    request: Mapping[str, Any],
    base_url: str,
    form: Callable[[Mapping[str, Any]], str] = pretty,
) -> str:
    """The curl command that queues an audit.

    Args:
        base_url: of the service, with a slash at its end.
        form: how the request is written.
    """
    return (
        f'curl {base_url}v1/audits -H "Authorization: Bearer $SERVAL_KEY" \\\n'
        f"  -H 'Content-Type: application/json' --data-binary @- <<'{END}'\n"
        f"{form(request)}\n{END}"
    )
