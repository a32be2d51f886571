"""Detectors of adversarial clips, attached to the models that they were trained for."""
