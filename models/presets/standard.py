"""The preset ``standard``."""

from models.attacks.ensemble import Ensemble
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.corruptions.clipping import Clipping
from models.corruptions.codec import Codec
from models.corruptions.gain import Gain
from models.corruptions.noise import AdditiveNoise
from models.corruptions.reverb import Reverb
from models.corruptions.silence import Silence
from models.presets.preset import PRESETS, Preset
from models.presets.strengths import EPSILONS, SNRS_DB


@PRESETS.register("standard")
class Standard(Preset):
    """What a figure should rest on: a cascade of PGD and two Auto-PGD on the log-mels, PGD on the
    waveform at 60, 50, 40 and 30 dB SNR, noise of the same sizes, and what happens to speech by
    nature: level, silence, noise, rooms, clipping, telephone and codecs."""

    attacks = (
        Ensemble(epsilon=EPSILONS, queries=0),
        Noise(epsilon=EPSILONS),
        Pgd(domain="waveform", norm="l2", snr_db=SNRS_DB),
        Noise(domain="waveform", norm="l2", snr_db=SNRS_DB),
    )
    corruptions = (
        Gain(db=(-26, -6, 6)),
        Silence(seconds=(0.3,)),
        AdditiveNoise(snr_db=(30, 20, 10)),
        AdditiveNoise(snr_db=(20, 10), color="babble"),
        Reverb(rt60_seconds=(0.3, 0.75)),
        Clipping(share=(0.2,)),
        Codec(name="mulaw"),
        Codec(name="opus", kbps=(16,)),
    )
