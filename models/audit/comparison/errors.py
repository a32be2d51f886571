"""Why audits cannot be compared."""


class IncomparableError(ValueError):
    """Audits that have nothing to be compared by.

    Attributes:
        code: stable name of the fault, for programs.
        audit: the place of the audit that does not go with the first one.
        remedy: what could be compared.
    """

    def __init__(self, code: str, audit: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.audit = audit
        self.remedy = remedy
