"""File names of RAVDESS, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "Actor_12/03-01-06-01-02-01-12.wav": Labels("12", "f", "fear", "02"),
    "03-01-01-01-01-01-01.wav": Labels("01", "m", "neutral", "01"),
    "03-01-02-02-01-02-24.wav": Labels("24", "f", "calm", "01"),
    "03-01-03-02-01-02-23.wav": Labels("23", "m", "happiness", "01"),
    "03-01-04-01-01-01-09.wav": Labels("09", "m", "sadness", "01"),
    "03-01-05-01-02-01-10.wav": Labels("10", "f", "anger", "02"),
    "03-01-07-01-02-01-02.wav": Labels("02", "f", "disgust", "02"),
    "03-01-08-01-02-01-03.wav": Labels("03", "m", "surprise", "02"),
}
FOREIGN = [
    "03-02-06-01-02-01-12.wav",  # a song
    "01-01-06-01-02-01-12.wav",  # the sound of a video
    "03-01-09-01-02-01-12.wav",
    "03-01-06-01-02-01-25.wav",
    "03-01-06-01-02-01-12-1.wav",
]
