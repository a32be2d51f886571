"""File names of CREMA-D, and names that only look like them; see test_every_adapter.py."""

from collections import Counter

from models.corpus.adapters.cremad import GENDERS
from models.corpus.labels import Labels

NAMES = {
    "1001_DFA_ANG_XX.wav": Labels("1001", "m", "anger", "DFA"),
    "AudioWAV/1002_IEO_DIS_HI.flac": Labels("1002", "f", "disgust", "IEO"),
    "1091_WSI_SAD_XX.WAV": Labels("1091", "f", "sadness", "WSI"),
    "1040_ITH_SAD_X.wav": Labels("1040", "m", "sadness", "ITH"),
    "1076_MTI_NEU_XX.wav": Labels("1076", "f", "neutral", "MTI"),
    "1053_TSI_FEA_XX.wav": Labels("1053", "f", "fear", "TSI"),
    "1048_IEO_HAP_LO.wav": Labels("1048", "m", "happiness", "IEO"),
}
FOREIGN = ["1092_DFA_ANG_XX.wav", "1000_DFA_ANG_XX.wav", "1001_XYZ_ANG_XX.wav", "1001.wav"]


def test_cremad_knows_48_men_and_43_women() -> None:
    assert Counter(GENDERS) == {"m": 48, "f": 43}
