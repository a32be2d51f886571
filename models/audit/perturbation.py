"""What an audit runs: attacks, and corruptions beside them in the same curve and rows."""

from models.attacks import Attack
from models.corruptions import Corruption

Perturbation = Attack | Corruption
