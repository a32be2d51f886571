"""Which audit a card is written from."""

from pydantic import Field

from app.schemas import Schema


class CardQuery(Schema):
    """Which audit the figures are of."""

    audit: str | None = Field(
        default=None,
        max_length=100,
        description="Of this model; the latest that has succeeded if it is not given.",
        examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
