"""The starter models: folders beside the code of `models/`, everybody's, never deleted."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import structlog

import models
from models.checkpoint import CONFIG, WEIGHTS, CheckpointError, ModelConfig, sha256

log = structlog.get_logger("serval.registry")

PRETRAINED = Path(models.__file__).parent / "pretrained"


@dataclass(frozen=True)
class Starter:
    """One starter model. Its id is its folder's name."""

    id: str
    folder: Path
    config: ModelConfig
    sha256: str


def starters() -> dict[str, Starter]:
    """All of them by id, in the order of their names. A damaged one is left out, and logged."""
    if not PRETRAINED.is_dir():
        return {}
    found: dict[str, Starter] = {}
    for folder in sorted(path.parent for path in PRETRAINED.glob(f"*/{CONFIG}")):
        try:
            found[folder.name] = _read(folder, (folder / WEIGHTS).stat().st_mtime_ns)
        except (OSError, CheckpointError) as error:
            log.error("a starter model is damaged", starter=folder.name, reason=str(error))
    return found


@lru_cache(maxsize=64)
def _read(folder: Path, _written: int) -> Starter:
    """Read once; again when the weights were written anew (`make starter`)."""
    config = ModelConfig.from_json((folder / CONFIG).read_bytes())
    return Starter(folder.name, folder, config, sha256((folder / WEIGHTS).read_bytes()))
