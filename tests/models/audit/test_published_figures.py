"""The shipped models have in an audit the figures that their cards publish."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.attacks.fgsm import Fgsm
from models.audio import decode
from models.audit import Audit, ClipFacts, summarize
from models.audit.scale import scale
from models.checkpoint import load_model
from models.corpus.index import read_index
from models.corpus.manifest import Clip
from models.features import LogMel, tile
from models.front_ends import FRONT_ENDS
from models.victims import SpectrogramVictim
from tests.models.audit.recordings import rows_of

ROOT = Path(__file__).resolve().parents[3]
PRETRAINED = ROOT / "models" / "pretrained"
CREMAD = ROOT.parent / "shared" / "corpora" / "cremad"
EPSILONS = (0.02, 0.04, 0.1)
STARTERS = ("cnn4-single-cremad", "cnn4-similarity-cremad")

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CREMAD.is_dir(), reason="needs CREMA-D in ../shared/corpora/cremad"),
]


class Cremad:
    """Clips of CREMA-D; see :class:`models.audit.Clips`."""

    audible = False

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def warning_codes(self, index: int) -> None:
        return None

    def facts(self, index: int) -> ClipFacts:
        clip = self.clips[index]
        return ClipFacts(clip.path, clip.emotion, clip.speaker, clip.gender, clip.duration_s)

    def log_mels(self, index: int) -> Tensor:
        features: Tensor = LogMel()(self.waveform(index))
        return features

    def waveform(self, index: int) -> Tensor:
        recording = (CREMAD / self.clips[index].path).read_bytes()
        return torch.from_numpy(decode(recording).samples)


def clips_of_test(most: int | None = None) -> Cremad:
    """The test speakers' clips, or the first ``most`` of each emotion."""
    seen: dict[str, int] = defaultdict(int)
    chosen = []
    for clip in read_index((CREMAD / "index.csv").read_bytes()):
        if clip.split == "test" and (most is None or seen[clip.emotion] < most):
            seen[clip.emotion] += 1
            chosen.append(clip)
    return Cremad(chosen)


def audit(name: str, clips: Cremad) -> Audit:
    net, config = load_model(PRETRAINED / name)
    victim = SpectrogramVictim(
        net,
        config.standardizer,
        config.labels,
        config.frames,
        windows="first",
        front_end=config.front_end,
    )
    return Audit(victim, clips, [Fgsm(epsilon=EPSILONS)])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STARTERS)
def test_all_test_speakers_under_fgsm(name: str) -> None:
    clips = clips_of_test()
    one = audit(name, clips)
    sizes = scale(
        (one.victim.front_end(clips.log_mels(index)) for index in range(0, len(clips), 50)),
        one.victim.standardizer,
    )
    result = summarize(
        rows_of(one, chunk=32),
        one.victim.labels,
        one.attacks,
        of=len(clips),
        scale=sizes,
        seconds={},
    )
    published = load_model(PRETRAINED / name)[1].metrics["test"]
    assert result.clean.uar is not None
    assert round(result.clean.uar, 4) == published["clean_uar"]
    assert {
        f"{point.strength:g}": round(point.uar or 0.0, 4) for point in result.curve
    } == published["fgsm_uar"]


@pytest.mark.timeout(300)
def test_some_of_them_clip_by_clip_as_by_hand() -> None:
    clips = clips_of_test(most=3)
    one = audit(STARTERS[0], clips)
    net, config = load_model(PRETRAINED / STARTERS[0])
    net.eval()
    for index, row in enumerate(rows_of(one, chunk=16)):
        heard = FRONT_ENDS[config.front_end](clips.log_mels(index))
        x = config.standardizer(tile(heard, config.frames))[None]
        x.requires_grad_(True)
        label = torch.tensor([config.labels.index(clips.clips[index].emotion)])
        (gradient,) = torch.autograd.grad(functional.cross_entropy(net(x), label), x)
        for epsilon, said in zip((0.0, *EPSILONS), (row.clean, *row.attacked), strict=True):
            with torch.no_grad():
                expected = net(x + epsilon * gradient.sign()).softmax(dim=1)[0].tolist()
            assert list(said.scores.values()) == pytest.approx(expected, abs=2e-3)
