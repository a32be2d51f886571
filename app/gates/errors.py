"""What makes a gate impossible to ask: exit code 2."""


class GateError(Exception):
    """A gate, a waiver or their file does not hold. The message names the value and the remedy."""
