"""Runs a module of the service as it is, with one more architecture: a network of 131 weights.

python -m tests.faults.with_tiny workers trainings
"""

import runpy
import sys

from models.architectures import ARCHITECTURES
from tests.models.tiny import TinyNet

if __name__ == "__main__":
    ARCHITECTURES["tiny"] = TinyNet
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
