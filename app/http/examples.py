"""Examples for the OpenAPI document: JSON files in the folder `examples/` of a domain.

Each file holds some of one kind as OpenAPI names them, {name: {summary, value}}; a test holds each
value to the model that it is an example of.
"""

import json
from pathlib import Path
from typing import Any


def read_examples(module_file: str, kind: str) -> dict[str, dict[str, Any]]:
    """Those of ``examples/<kind>.json`` beside the module.

    Args:
        module_file: the module's ``__file__``.
        kind: such as "requests", "forms" or "jobs".
    """
    path = Path(module_file).parent / "examples" / f"{kind}.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
    return found
