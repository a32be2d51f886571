"""`serval signing-key` on the machine of the service."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from app.signing.ed25519 import fingerprint, private_pem
from tests.app.cli.conftest import Serval


class TestSigningKey:
    def test_the_help_names_what_needs_no_service(self, serval: Serval) -> None:
        said = serval("--help").out
        for command in ("replay", "verify", "signing-key"):
            assert f" {command} " in said

    def test_shows_the_key_that_the_service_tells(self, serval: Serval, client: TestClient) -> None:
        told = client.get("/v1/signing-key").json()
        said = serval("signing-key", "show")
        assert said.status == 0
        assert said.out == f"{told['current']['fingerprint']}\n{told['current']['pem']}"
        assert json.loads(serval("signing-key", "show", "--json").out) == told

    def test_a_rotation_counts_at_once_in_the_running_service(
        self, serval: Serval, client: TestClient
    ) -> None:
        before = client.get("/v1/signing-key").json()["current"]["fingerprint"]
        said = serval("signing-key", "rotate")
        assert said.status == 0
        assert f"earlier: {before}" in said.out
        now = client.get("/v1/signing-key").json()
        assert now["current"]["fingerprint"] == said.out.splitlines()[0] != before
        assert [one["fingerprint"] for one in now["earlier"]] == [before]

    def test_a_key_of_a_file_is_shown_and_not_rotated(
        self, serval: Serval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = Ed25519PrivateKey.generate()
        (tmp_path / "key.pem").write_bytes(private_pem(key))
        monkeypatch.setenv("SERVAL_SIGNING_KEY_FILE", str(tmp_path / "key.pem"))
        assert serval("signing-key", "show").out.startswith(fingerprint(key.public_key()))
        said = serval("signing-key", "rotate")
        assert said.status == 1
        assert "SERVAL_SIGNING_KEY_FILE" in said.err
