"""Why an audit cannot be made."""


class AuditError(ValueError):
    """A model that cannot be audited, or an attack that cannot be run on it.

    Attributes:
        code: stable name of the fault, for programs.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
