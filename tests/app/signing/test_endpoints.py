"""What is signed over HTTP."""

import base64
import html

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi.testclient import TestClient

from app.persistence.storage import Storage
from app.signing.key_store import KeyStore
from app.signing.signatures import DOES_NOT_SAY, measured, verify
from tests.conftest import MakeKey


class TestSigningKey:
    def test_anonymous_is_401(self, client: TestClient, make_key: MakeKey) -> None:
        make_key("predict")
        assert client.get("/v1/signing-key").status_code == 401

    def test_any_key_may_see_it(self, client: TestClient, make_key: MakeKey) -> None:
        key = make_key("predict")
        assert client.get("/v1/signing-key", headers=key.headers).status_code == 200

    def test_tells_pem_jwk_and_fingerprint_of_one_key(self, client: TestClient) -> None:
        told = client.get("/v1/signing-key").json()
        assert (told["object"], told["earlier"]) == ("signing_keys", [])
        current = told["current"]
        assert client.get("/v1/signing-key").json() == told
        raw = load_pem_public_key(current["pem"].encode()).public_bytes_raw()  # type: ignore[union-attr]
        assert base64.urlsafe_b64decode(current["jwk"]["x"] + "=") == raw
        assert (current["jwk"]["kty"], current["jwk"]["crv"]) == ("OKP", "Ed25519")
        assert len(current["fingerprint"]) == 64
        assert "PRIVATE" not in str(told)

    def test_a_key_that_was_rotated_stays_known(
        self, client: TestClient, app_storage: Storage
    ) -> None:
        before = client.get("/v1/signing-key").json()["current"]
        KeyStore(app_storage).rotate()
        told = client.get("/v1/signing-key").json()
        assert told["earlier"] == [before]
        assert told["current"] != before


class TestReport:
    @pytest.mark.parametrize("kind", ["json", "html", "pdf"])
    def test_its_header_and_its_signature_are_of_its_bytes(
        self, client: TestClient, finished: str, kind: str
    ) -> None:
        query = {"format": kind}
        report = client.get(f"/v1/audits/{finished}/report", params=query)
        assert report.status_code == 200, report.text
        document = client.get(f"/v1/audits/{finished}/report/signature", params=query)
        assert document.headers["content-type"] == "application/json"
        assert base64.b64decode(report.headers["serval-signature"]) == document.content
        verdict = verify(document.content, [measured(f"report.{kind}", report.content)])
        assert verdict.faults == ()
        assert verdict.signature is not None
        assert (verdict.signature.kind, verdict.signature.audit) == (kind, finished)
        key = client.get("/v1/signing-key").json()["current"]
        assert verdict.signature.key == key["fingerprint"]
        changed = report.content[:-1] + b"x"
        (fault,) = verify(document.content, [measured(f"report.{kind}", changed)]).faults
        assert fault.part == f"report.{kind}"

    def test_it_says_what_its_signature_does_not(self, client: TestClient, finished: str) -> None:
        url = f"/v1/audits/{finished}/report"
        assert client.get(url).json()["about_signature"] == DOES_NOT_SAY
        page = html.unescape(client.get(url, params={"format": "html"}).text)
        assert DOES_NOT_SAY in page
        assert f"/v1/audits/{finished}/bundle" in page

    def test_what_was_signed_before_a_rotation_is_unchanged_still(
        self, client: TestClient, finished: str, app_storage: Storage
    ) -> None:
        report = client.get(f"/v1/audits/{finished}/report")
        KeyStore(app_storage).rotate()
        document = base64.b64decode(report.headers["serval-signature"])
        earlier = [one["fingerprint"] for one in client.get("/v1/signing-key").json()["earlier"]]
        verdict = verify(document, [measured("report.json", report.content)], earlier)
        assert (verdict.faults, verdict.trusted) == ((), True)

    def test_a_form_that_there_is_not_is_406(self, client: TestClient, finished: str) -> None:
        answer = client.get(f"/v1/audits/{finished}/report/signature?format=docx")
        assert answer.status_code == 406

    @pytest.mark.filterwarnings("ignore")
    def test_nobody_loses_a_report_over_a_damaged_key(
        self, client: TestClient, finished: str, app_storage: Storage
    ) -> None:
        client.get("/v1/signing-key")
        (app_storage.root / "signing" / "key-0001" / "private.pem").write_text("torn")
        report = client.get(f"/v1/audits/{finished}/report")
        assert report.status_code == 200
        assert "serval-signature" not in report.headers
        answer = client.get(f"/v1/audits/{finished}/report/signature")
        assert (answer.status_code, answer.json()["code"]) == (500, "signing_key_damaged")
