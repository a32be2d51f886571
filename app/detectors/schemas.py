"""What is asked of a model's detector."""

from pydantic import Field

from app.schemas import Schema


class Attachment(Schema):
    """Which detector a model gets."""

    training: str = Field(
        max_length=64,
        description='A training of type "detector" that has succeeded, for this very model.',
        examples=["train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
