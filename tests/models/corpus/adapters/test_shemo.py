"""File names of ShEMO, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "female/F21N05.wav": Labels("F21", "f", "neutral", ""),
    "male/M12W01.wav": Labels("M12", "m", "surprise", ""),
    "F02F10.wav": Labels("F02", "f", "fear", ""),
}
FOREIGN = ["X21N05.wav", "F2N05.wav", "F21X05.wav", "F21N5.wav", "F21N05a.wav"]
