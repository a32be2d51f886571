"""A full disk: 507 that says so, nothing half made, and all goes on when there is room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.app.corpora.zips import corpus_zip, upload
from tests.full_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", 4) as disk:
        yield disk


@pytest.fixture
def client(settings: Settings, disk: SmallDisk) -> Iterator[TestClient]:
    """A client of a service whose data folder, but not its database, lies on the small disk."""
    here = settings.model_copy(update={"data_dir": disk.root})
    app = create_app(here)
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


class TestFullDisk:
    def test_an_upload_is_507_and_leaves_nothing_and_is_taken_when_there_is_room(
        self, client: TestClient, disk: SmallDisk
    ) -> None:
        disk.fill()
        answer = upload(client, corpus_zip())
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert "SERVAL_DATA_DIR" in answer.json()["detail"]
        assert [
            path for name in ("corpora", "staging") for path in (disk.root / name).iterdir()
        ] == []
        assert client.get("/v1/corpora").json()["data"] == []

        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["detail"] == "Not ready: storage: its disk is full"

        disk.make_room()
        assert upload(client, corpus_zip()).status_code == 201
