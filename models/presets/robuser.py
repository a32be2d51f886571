"""The preset ``robuser``."""

from models.corruptions.clipping import Clipping
from models.corruptions.codec import Codec
from models.corruptions.gain import Gain
from models.corruptions.noise import AdditiveNoise
from models.corruptions.reverb import Reverb
from models.presets.preset import PRESETS, Preset


@PRESETS.register("robuser")
class Robuser(Preset):
    """Corruptions of the public benchmark ROBUSER at its levels: babble and white noise, rooms,
    clipping, level and MP3, its recordings replaced by synthetic ones: add a corruption
    `background` with a corpus of noises for theirs.

    https://github.com/BehavioralSignalTechnologies/ser_robustness, its defaults. It takes
    background noise from ESC-50, MUSAN and UrbanSound8K and rooms from EchoThief, of RT60 .1-.5,
    .5-1 and 1-1.5 s: babble and Polack's rooms in the middle of each stand for them. It draws a
    share up to 20, 40 and 60 % to be clipped, and fades between two gains: here they are fixed.
    """

    corruptions = (
        AdditiveNoise(color="babble", snr_db=(20, 10, 0)),
        AdditiveNoise(color="white", snr_db=(30, 20, 10)),
        Reverb(rt60_seconds=(0.3, 0.75, 1.25)),
        Clipping(share=(0.2, 0.4, 0.6)),
        Gain(db=(-40, -30, -20, -10)),
        Codec(name="mp3", kbps=(32, 16, 8)),
    )
