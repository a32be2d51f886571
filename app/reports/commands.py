"""Commands that a reader can run: an audit again as it was, or with a patch to its request.

Whatever stands in a request is inside a quoted here-document, in which a shell reads nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

END: Final = "AUDIT"
"""Of the here-document. No line of indented JSON is this word alone."""


def pretty(value: object) -> str:
    """JSON for people, in ASCII, so that no letter of it looks like another one."""
    return json.dumps(value, indent=2, ensure_ascii=True)


def submit(request: Mapping[str, Any], base_url: str) -> str:
    """The curl command that queues an audit.

    Args:
        base_url: of the service, with a slash at its end.
    """
    return (
        f'curl {base_url}v1/audits -H "Authorization: Bearer $SERVAL_KEY" \\\n'
        f"  -H 'Content-Type: application/json' --data-binary @- <<'{END}'\n"
        f"{pretty(request)}\n{END}"
    )
