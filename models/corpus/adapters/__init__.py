"""How public corpora name their files, one a file: a function ``parse`` that registers itself.

A module of this folder is found by itself.
"""

from models.corpus.adapters.adapter import ADAPTERS, Adapter
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = ["ADAPTERS", "Adapter"]
