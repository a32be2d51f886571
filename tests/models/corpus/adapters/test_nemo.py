"""File names of nEMO, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "samples/EB0_anger_1.wav": Labels("EB0", "f", "anger", "1"),
    "samples/WR0_surprised_64.wav": Labels("WR0", "m", "surprise", "64"),
    "KS0_happiness_90.wav": Labels("KS0", "m", "happiness", "90"),
}
FOREIGN = [
    "EB1_anger_1.wav",
    "EB0_angry_1.wav",
    "EB0_anger_91.wav",
    "EB0_anger_0.wav",
    "EB0_anger.wav",
]
