"""What an adapter of a corpus is, and the catalogue of all."""

from collections.abc import Callable
from typing import Final

from models.catalogue import Catalogue
from models.corpus.labels import Labels

Adapter = Callable[[str], Labels | None]
"""The path of a clip inside its corpus → what it tells, or None when it is not one of them."""

ADAPTERS: Final[Catalogue[Adapter]] = Catalogue("format")
"""Every adapter by the name that requests call its corpus's format."""
