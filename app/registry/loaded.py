"""The models that are in memory, ready to predict: the most recently used ones."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

import torch
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session, sessionmaker
from torch import nn

from app.errors import NotFound, ServalError
from app.persistence.storage import Storage
from app.registry import detectors, service
from models.checkpoint import ModelConfig
from models.features import Standardizer
from models.front_ends import FRONT_ENDS, FrontEnd
from models.serving import served

RECHECK_SECONDS = 5.0
"""How long a loaded model is believed to exist still. This process hears of its own deletions at
once; another process on the same database may delete too."""


@dataclass(eq=False)
class LoadedModel:
    """A network on its device, with its front end.

    Attributes:
        owner: the key that it belongs to; None for a starter.
        network: (batch, frames, mels) float32 → logits (batch, classes).
        size: bytes that its weights take.
        detector: (batch, frames, mels) float32 → logits (batch,); None if it has none.
        detector_sha256: of the detector's weights; "" if it has none.
        checked_at: when it was last looked up, in seconds of the monotonic clock.
    """

    id: str
    owner: str | None
    config: ModelConfig
    standardizer: Standardizer
    network: nn.Module
    size: int
    detector: nn.Module | None = None
    detector_sha256: str = ""
    checked_at: float = float("-inf")

    @property
    def front_end(self) -> FrontEnd:
        """What it hears of a recording."""
        return FRONT_ENDS[self.config.front_end]


class LoadedModels:
    """Loads models when they are asked for, and keeps the last used ones.

    For the event loop alone: it is not safe to call from several threads.

    Args:
        device: where the networks go.
        most: how many are kept.
        most_bytes: how many bytes of weights are kept; the one in use stays even if it is larger.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        storage: Storage,
        *,
        device: torch.device,
        most: int,
        most_bytes: int,
    ) -> None:
        self.device = device
        self._sessions = sessions
        self._storage = storage
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Task[LoadedModel]] = {}
        self._changed_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def get(self, model_id: str, *, owner: str) -> LoadedModel:
        """The model, loaded if it is not yet. A starter, or a model just used, costs no query.

        Raises:
            NotFound: there is none with this id, or it is another key's.
            ServalError: its files are damaged.
        """
        known = self._kept.get(model_id)
        if known is not None and known.owner is None:
            self._kept.move_to_end(model_id)
            return known
        moment = time.monotonic()
        if known is None or known.owner != owner or not self._is_fresh(known, moment):
            entry = await self._find(model_id, owner)
            known = await self._with_its_detector(entry, owner)
            known.owner = entry.owner  # another key may have adopted it
            known.checked_at = moment
        if model_id in self._kept:
            self._kept.move_to_end(model_id)
        return known

    def forget(self, model_id: str) -> None:
        """Let go of a model that was deleted. What is being predicted with it is finished."""
        self._kept.pop(model_id, None)
        for key in [key for key in self._loading if key[0] == model_id]:
            self._loading.pop(key).cancel()

    def recheck(self) -> None:
        """Look every model up before it is next given to anybody: a detector was attached or
        detached. Nothing is let go of, and who waits for a load gets what is loading."""
        self._changed_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes that the kept models' weights take."""
        return sum(model.size for model in self._kept.values())

    def _is_fresh(self, model: LoadedModel, moment: float) -> bool:
        return model.checked_at > self._changed_at and moment - model.checked_at < RECHECK_SECONDS

    async def _find(self, model_id: str, owner: str) -> service.Entry:
        def find() -> service.Entry:
            with self._sessions() as session:
                return service.get(session, self._storage, model_id, owner=owner)

        try:
            return await run_in_threadpool(find)
        except NotFound:
            known = self._kept.get(model_id)
            if known is not None and known.owner == owner:
                self.forget(model_id)
            raise

    async def _with_its_detector(self, entry: service.Entry, owner: str) -> LoadedModel:
        """The model as its row was just found, kept or loaded."""
        known = self._kept.get(entry.id)
        if known is not None and known.detector_sha256 == _detector_sha256(entry):
            return known
        self._kept.pop(entry.id, None)  # a detector was attached or detached meanwhile
        try:
            return await self._loaded(entry)
        except ServalError as error:
            if error.code != "detector_damaged":
                raise
            now = await self._find(entry.id, owner)
            if _detector_sha256(now) == _detector_sha256(entry):
                raise
        # It was detached, and its files went before they were read.
        return await self._with_its_detector(now, owner)

    async def _loaded(self, entry: service.Entry) -> LoadedModel:
        """Load it, or wait for the one load of it, with this detector, that is under way."""
        key = (entry.id, _detector_sha256(entry))
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._load(entry))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        try:
            return await asyncio.shield(task)  # a client that leaves does not stop the others' load
        except asyncio.CancelledError:
            if task.cancelled():
                raise NotFound(f"The model {entry.id} was deleted while it was loading.") from None
            raise

    async def _load(self, entry: service.Entry) -> LoadedModel:
        await run_in_threadpool(self._storage.published, entry.folder)
        # Loading takes memory several times over: one model at a time.
        async with self._one_at_a_time:
            model = await run_in_threadpool(_make_ready, entry, self.device)
        self._kept[entry.id] = model
        while len(self._kept) > 1 and (
            len(self._kept) > self._most or self.size > self._most_bytes
        ):
            self._kept.popitem(last=False)
        return model


@dataclass(frozen=True, kw_only=True)
class RegistryState:
    """What the registry needs of the application's state."""

    loaded_models: LoadedModels


def _make_ready(entry: service.Entry, device: torch.device) -> LoadedModel:
    """In a thread: read, check, arrange for the device."""
    network = served(service.load_entry(entry), device, entry.config.frames)
    detector = detectors.load(entry, device)
    tensors = [*network.parameters(), *network.buffers()]
    if detector is not None:
        tensors += [*detector.parameters(), *detector.buffers()]
    return LoadedModel(
        id=entry.id,
        owner=entry.owner,
        config=entry.config,
        standardizer=entry.config.standardizer,
        network=network,
        size=sum(tensor.nbytes for tensor in tensors),
        detector=detector,
        detector_sha256=_detector_sha256(entry),
    )


def _detector_sha256(entry: service.Entry) -> str:
    return "" if entry.detector is None else entry.detector.sha256
