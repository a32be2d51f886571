"""Serval's web service: HTTP in, HTTP out. The science is in `models`, the work in `workers`."""

__version__ = "0.1.0"
