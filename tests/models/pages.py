"""The code that the pages of docs/ show, as a newcomer would add it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.architectures import ARCHITECTURES
from models.attacks import ATTACKS
from models.audit.checks import CHECKS
from models.audit.measures import MEASURES
from models.corpus import ADAPTERS
from models.corruptions import CORRUPTIONS
from models.defenses import DEFENSES
from models.presets import PRESETS
from models.studies.trainings import STUDY_TRAININGS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@contextmanager
def added(page: str) -> Iterator[dict[str, Any]]:
    """Run the one piece of Python code of a page; the names that it defines.

    What it registers is registered meanwhile, and nowhere else named.
    """
    code = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    assert len(code) == 1
    names: dict[str, Any] = {"__name__": "example"}
    registries = (ATTACKS, CORRUPTIONS, DEFENSES, STUDY_TRAININGS)
    catalogues = (ARCHITECTURES, ADAPTERS, MEASURES, CHECKS, PRESETS)
    known = {name for one in (*registries, *catalogues) for name in one}
    try:
        exec(compile(code[0], page, "exec"), names)
        yield names
    finally:
        for registry in registries:
            for name in set(registry) - known:
                registry.unregister(name)
        for catalogue in catalogues:
            for name in set(catalogue) - known:
                del catalogue[name]
