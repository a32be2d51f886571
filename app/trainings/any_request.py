"""The body of POST /v1/trainings: what is trained is told by its `type`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from app.schemas import at
from app.trainings.detector_request import TYPE, DetectorRequest
from app.trainings.schemas import TrainingRequest


class _ByType:
    """A union whose refusals name a field as it stands in the request, not the member before it.

    Without a `type` it is the training of a model.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        members: list[Any] = [
            TrainingRequest.__pydantic_core_schema__,
            DetectorRequest.__pydantic_core_schema__,
        ]
        return handler(core_schema.union_schema(members))


AnyTrainingRequest = Annotated[TrainingRequest | DetectorRequest, _ByType()]
"""The request of a model's training, or of a detector's."""

KNOWN: Final = f"give {TYPE}, or leave it out to train a model"


def parse(value: object) -> TrainingRequest | DetectorRequest:
    """The request that a client sent.

    Raises:
        pydantic.ValidationError: it does not hold.
    """
    if isinstance(value, TrainingRequest | DetectorRequest):
        return value
    if not isinstance(value, Mapping) or "type" not in value:
        return TrainingRequest.model_validate(value)
    if value["type"] != TYPE:
        raise at(("type",), "unknown_training", f"is unknown: {KNOWN}", value["type"])
    return DetectorRequest.model_validate(value)
