"""What ends a command with exit code 1 and a message for people."""


class CliError(Exception):
    """The message says what was wrong and what to do."""
