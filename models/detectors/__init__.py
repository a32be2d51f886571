"""Detectors: does a clip carry an adversarial change, made against one given model?

A detector is a small network beside a model. It is trained on clean log-mels and on those that an
attack made of them on that model, whose weights stay as they are (Metzen et al., "On Detecting
Adversarial Perturbations", ICLR 2017). It belongs to that model alone: it knows the hash of the
model's weights, and is never asked beside another.

No detector of this kind has withstood an attacker who knows it (Carlini & Wagner, "Adversarial
Examples Are Not Easily Detected", AISec 2017). So its figures always hold such an attacker's
(:mod:`models.detectors.evading`).

``network`` is the network, ``plan`` what determines a training, ``training`` the loop,
``checkpoint`` the files, ``evaluation`` the figures; how a clip is scored stands in
:mod:`models.adversarial_score`.
"""

from models.detectors.checkpoint import DetectorConfig, load_detector, save_detector
from models.detectors.network import DetectorNet, served
from models.detectors.plan import DetectorRecipe

__all__ = [
    "DetectorConfig",
    "DetectorNet",
    "DetectorRecipe",
    "load_detector",
    "save_detector",
    "served",
]
