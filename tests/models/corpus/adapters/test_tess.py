"""File names of TESS, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "OAF_angry/OAF_back_angry.wav": Labels("OAF", "f", "anger", "back"),
    "YAF_youth_ps.wav": Labels("YAF", "f", "surprise", "youth"),
    "OAF_neutral/OA_bite_neutral.wav": Labels("OAF", "f", "neutral", "bite"),
    "YAF_dog_happy.wav": Labels("YAF", "f", "happiness", "dog"),
    "YAF_neat_fear.wav": Labels("YAF", "f", "fear", "neat"),
    "OAF_bar_sad.wav": Labels("OAF", "f", "sadness", "bar"),
    "OAF_base_disgust.wav": Labels("OAF", "f", "disgust", "base"),
}
FOREIGN = ["XAF_back_angry.wav", "OAF_back_bored.wav", "OAF_angry.wav"]
