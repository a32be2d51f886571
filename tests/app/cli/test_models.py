"""`serval models`: the registry from the command line."""

import json
from pathlib import Path

import pytest

from models.checkpoint import save_model
from tests.app.cli.conftest import Serval
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey


@pytest.fixture
def folder(tiny_architecture: None, tmp_path: Path) -> Path:
    """A model's folder."""
    path = tmp_path / "mine"
    path.mkdir()
    save_model(path, tiny_net(), tiny_config("anger", "joy", "sadness"))
    return path


@pytest.fixture
def added(serval: Serval, url: str, folder: Path) -> str:
    """The id of an uploaded model."""
    said = serval("models", "add", folder, "--json")
    assert said.status == 0, said.err
    return str(json.loads(said.out)["id"])


class TestAdd:
    def test_uploads_weights_and_configuration_of_a_folder(
        self, serval: Serval, added: str
    ) -> None:
        told = json.loads(serval("models", "show", added, "--json").out)
        assert (told["name"], told["labels"]) == ("mine", ["anger", "joy", "sadness"])

    def test_takes_the_two_files_and_a_name(
        self, serval: Serval, url: str, folder: Path, tmp_path: Path
    ) -> None:
        config = tmp_path / "other.json"
        (folder / "config.json").rename(config)
        said = serval(
            "models",
            "add",
            folder / "model.safetensors",
            "--config",
            config,
            "--name",
            "call centre",
        )
        assert said.status == 0, said.err
        assert "call centre" in said.out
        assert "anger, joy, sadness" in said.out

    def test_of_what_is_not_there_names_the_file(
        self, serval: Serval, url: str, folder: Path
    ) -> None:
        (folder / "config.json").unlink()
        said = serval("models", "add", folder)
        assert said.status == 1
        assert "config.json cannot be read" in said.err

    def test_of_weights_that_do_not_hold_is_refused(
        self, serval: Serval, url: str, folder: Path
    ) -> None:
        (folder / "model.safetensors").write_bytes(b"no tensors")
        said = serval("models", "add", folder)
        assert said.status == 1
        assert said.out == ""
        assert said.err


class TestList:
    def test_shows_ones_own_and_then_the_starters(self, serval: Serval, added: str) -> None:
        said = serval("models", "list")
        assert said.out.index(added) < said.out.index("tiny-a") < said.out.index("tiny-b")
        found = json.loads(serval("models", "list", "--json").out)
        assert [one["id"] for one in found] == [added, "tiny-a", "tiny-b"]

    def test_follows_the_pages(
        self, serval: Serval, added: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.cli.models.PAGE", 1)
        found = json.loads(serval("models", "list", "--json").out)
        assert [one["id"] for one in found] == [added, "tiny-a", "tiny-b"]


class TestShow:
    def test_tells_what_a_model_knows(self, serval: Serval, url: str) -> None:
        said = serval("models", "show", "tiny-a")
        assert said.status == 0, said.err
        for told in ("tiny-a", "front end", "logmel-1", "SHA-256", "calm"):
            assert told in said.out


class TestRemove:
    def test_takes_a_model_away(self, serval: Serval, added: str) -> None:
        assert serval("models", "remove", added).out == f"{added} is removed.\n"
        assert serval("models", "show", added).status == 1

    def test_of_a_starter_is_refused(self, serval: Serval, url: str) -> None:
        said = serval("models", "remove", "tiny-a")
        assert said.status == 1
        assert "tiny-a" in said.err

    def test_without_the_scope_is_refused(
        self, serval: Serval, added: str, make_key: MakeKey
    ) -> None:
        key = make_key("predict")
        said = serval("models", "remove", added, "--key", key.token)
        assert said.status == 1
        assert "Forbidden" in said.err
