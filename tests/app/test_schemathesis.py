"""The service does what its OpenAPI document says, to requests that are made from that document."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as examples
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.main import create_app
from app.settings import Settings
from tests.app.listening import listening
from tests.conftest import MakeKey

EXAMPLES: Final = 8
"""Of each operation."""


@pytest.fixture
def schema(settings: Settings) -> Iterator[BaseSchema]:
    """The document of a real server, on which requests wait for jobs no longer than a moment."""
    brief = settings.model_copy(update={"max_wait_seconds": 0.1})
    with listening(create_app(brief), brief) as port:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_service_does_what_it_documents(schema: BaseSchema, make_key: MakeKey) -> None:
    """No server error; no status, media type or answer that is not told of."""
    headers = make_key("admin").headers
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @seed(1)
        @examples(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def hold(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        hold()
        tried += 1
    assert tried >= 30
