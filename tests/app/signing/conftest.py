"""Fixtures: an audit that has found something, and the files of the running service."""

import pytest
from fastapi.testclient import TestClient

from app.persistence.storage import Storage
from tests.app.audits.conftest import finished, storage
from tests.app.state import state

__all__ = ["app_storage", "finished", "storage"]


@pytest.fixture
def app_storage(client: TestClient) -> Storage:
    """Where the service keeps its files."""
    return state(client.app).storage
