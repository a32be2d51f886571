"""Adversarial inputs read back: each counts once, whatever it was kept as."""

import json
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import save_file

from app.audits import files
from models.attacks import parse
from models.audit.checks import Written
from models.budget import STEP
from workers.audits.written import written

WAVE = parse({"type": "fgsm", "domain": "waveform", "norm": "linf", "epsilon": [8 * STEP]})
CLEAN = torch.arange(-50, 50) * 16 * STEP


def kept(folder: Path, *, tensor: int, sound: int | None) -> Written | None:
    """Keep an input that is this many steps from its clip, and as sound so many."""
    points = {"000": {"attack": 0, "strength": 8 * STEP}}
    tensors = {"000003.waveform": CLEAN, "000003.attacked.000": CLEAN + tensor * STEP}
    save_file(tensors, folder / files.INPUTS_FILE, {"points": json.dumps(points)})
    if sound is not None:
        samples = (CLEAN + sound * STEP).numpy()
        soundfile.write(folder / files.sound_name(3, 1), samples, 16_000, subtype="PCM_16")
    return written(folder, [WAVE])


class TestAnInputOfAWaveform:
    @pytest.mark.parametrize("sound", [None, 8])
    def test_is_one_input_with_its_sound_or_without(
        self, tmp_path: Path, sound: int | None
    ) -> None:
        assert kept(tmp_path, tensor=8, sound=sound) == Written(inputs=1, beyond=0, worst=0.0)

    @pytest.mark.parametrize(
        ("tensor", "sound"), [(16, None), (16, 8), (8, 16), (12, 16), (16, 12)]
    )
    def test_is_as_far_as_the_farther_of_both(
        self, tmp_path: Path, tensor: int, sound: int | None
    ) -> None:
        found = kept(tmp_path, tensor=tensor, sound=sound)
        assert found is not None
        assert (found.inputs, found.beyond) == (1, 1)
        assert found.worst == pytest.approx(2, rel=1e-2)


def test_a_folder_without_inputs_has_nothing_to_measure(tmp_path: Path) -> None:
    assert written(tmp_path, [WAVE]) is None
