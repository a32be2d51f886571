"""Who is asking, and what they may do."""

import hashlib
from typing import Any, ClassVar

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.access.auth import (
    MayAdmin,
    MayAudit,
    MayPredict,
    MayTrain,
)
from app.access.keys.service import create_key, revoke_key
from app.access.keys.tables import ApiKey
from app.settings import Settings
from tests.conftest import MakeKey

router = APIRouter(prefix="/v1/probes")


@router.get("/predict")
async def predict(caller: MayPredict) -> str:
    return caller.owner


@router.get("/audit")
def audit(caller: MayAudit) -> str:
    return caller.owner


@router.get("/train")
def train(caller: MayTrain) -> str:
    return caller.owner


@router.get("/admin")
def admin(caller: MayAdmin) -> str:
    return caller.owner


@router.api_route("/change", methods=["POST", "PUT", "PATCH", "DELETE"])
def change(caller: MayPredict) -> str:
    return caller.owner


SCOPES = ["predict", "audit", "train", "admin"]


@pytest.fixture
def probes(app: FastAPI, client: TestClient) -> TestClient:
    app.include_router(router)
    return client


def status(probes: TestClient, scope: str, headers: dict[str, str] | None = None) -> int:
    return probes.get(f"/v1/probes/{scope}", headers=headers).status_code


class TestWhileNoKeyWasMade:
    @pytest.mark.parametrize("scope", SCOPES)
    def test_loopback_may_do_everything_as_local(self, probes: TestClient, scope: str) -> None:
        assert probes.get(f"/v1/probes/{scope}").json() == "local"

    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "127.8.8.8"])
    def test_every_name_of_this_machine_will_do(self, probes: TestClient, host: str) -> None:
        assert status(probes, "predict", {"host": host}) == 200

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
    def test_a_web_page_cannot_reach_it_under_another_name(
        self, probes: TestClient, host: str
    ) -> None:
        answer = probes.get("/v1/probes/predict", headers={"host": host})
        assert answer.status_code == 403
        assert answer.json()["code"] == "open_on_loopback_only"

    def test_another_machine_may_not(self, probes: TestClient, app: FastAPI) -> None:
        far = TestClient(app, base_url="http://127.0.0.1", client=("192.0.2.7", 1))
        assert far.get("/v1/probes/predict").status_code == 403

    @pytest.mark.parametrize(
        "name",
        [
            *("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Server"),
            *("X-Forwarded-Port", "X-Real-IP"),
        ],
    )
    def test_what_a_proxy_on_this_machine_passes_on_may_not(
        self, probes: TestClient, make_key: MakeKey, name: str
    ) -> None:
        passed_on = {name: "198.51.100.7"}
        answer = probes.get("/v1/probes/predict", headers=passed_on)
        assert answer.status_code == 403
        assert answer.json()["code"] == "open_on_loopback_only"
        assert name.lower() in answer.json()["detail"]
        token = make_key("predict").token
        with_key = passed_on | {"authorization": f"Bearer {token}"}
        assert status(probes, "predict", with_key) == 200

    def test_a_token_that_no_key_has_does_no_harm(self, probes: TestClient) -> None:
        assert status(probes, "predict", {"authorization": "Bearer whatever"}) == 200


class TestWhatAWebPageMaySend:
    """A page of any site can post a form to 127.0.0.1, unasked: no key is there to keep it out."""

    FOREIGN: ClassVar = [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # a page of another port of this machine
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8000"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:8000"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": ""},
    ]
    OWN: ClassVar = [
        {},  # curl, the command line
        {"sec-fetch-site": "none"},  # typed by the user
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8000"},  # /docs
        {"origin": "http://127.0.0.1:8000"},  # /docs in a browser without Sec-Fetch-Site
        {"origin": "https://127.0.0.1:8000"},  # behind a proxy that ends TLS
    ]

    def send(self, probes: TestClient, method: str, headers: dict[str, str]) -> Any:
        given = {"host": "127.0.0.1:8000", **headers}
        return probes.request(method, "/v1/probes/change", headers=given)

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("headers", FOREIGN, ids=str)
    def test_another_sites_page_changes_nothing_and_is_told_why(
        self, probes: TestClient, method: str, headers: dict[str, str]
    ) -> None:
        answer = self.send(probes, method, headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "cross_site"
        assert "serval keys create" in answer.json()["detail"]
        assert self.send(probes, method, {}).status_code == 200

    @pytest.mark.parametrize("headers", OWN, ids=str)
    def test_programs_and_the_services_own_page_may(
        self, probes: TestClient, headers: dict[str, str]
    ) -> None:
        assert self.send(probes, "POST", headers).json() == "local"

    def test_reading_is_left_to_the_browser_which_shows_no_answer_to_another_site(
        self, probes: TestClient
    ) -> None:
        answer = probes.get("/v1/probes/predict", headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers

    def test_a_form_posted_by_a_page_queues_and_stores_nothing(self, probes: TestClient) -> None:
        page = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
        for path in ("predict", "corpora", "audits", "models"):
            answer = probes.post(f"/v1/{path}", files={"file": ("a", b"x")}, headers=page)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")

    def test_a_key_is_proof_enough_from_any_page(
        self, probes: TestClient, make_key: MakeKey
    ) -> None:
        page = {"origin": "http://app.example", **make_key("predict").headers}
        assert self.send(probes, "POST", page).status_code == 200


class TestOnceAKeyWasMade:
    def test_anonymous_is_401_and_told_how(self, probes: TestClient, make_key: MakeKey) -> None:
        make_key("predict")
        answer = probes.get("/v1/probes/predict")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "key_missing"

    def test_the_key_is_the_owner(self, probes: TestClient, make_key: MakeKey) -> None:
        key = make_key("audit")
        assert probes.get("/v1/probes/audit", headers=key.headers).json() == key.id

    def test_a_scope_opens_its_own_door_alone(self, probes: TestClient, make_key: MakeKey) -> None:
        key = make_key("audit", "train")
        found = {scope: status(probes, scope, key.headers) for scope in SCOPES}
        assert found == {"predict": 403, "audit": 200, "train": 200, "admin": 403}

    def test_a_missing_scope_is_named(self, probes: TestClient, make_key: MakeKey) -> None:
        key = make_key("audit")
        answer = probes.get("/v1/probes/train", headers=key.headers)
        assert answer.json()["code"] == "scope_missing"
        assert "scope train; this one has audit" in answer.json()["detail"]

    def test_an_admin_may_do_everything(self, probes: TestClient, make_key: MakeKey) -> None:
        key = make_key("admin")
        assert {status(probes, scope, key.headers) for scope in SCOPES} == {200}

    def test_another_secret_under_the_same_id_is_401(
        self, probes: TestClient, make_key: MakeKey
    ) -> None:
        token = make_key("predict").token
        forged = token[:-1] + ("0" if token[-1] != "0" else "1")
        assert status(probes, "predict", {"authorization": f"Bearer {forged}"}) == 401

    @pytest.mark.parametrize(
        "header",
        ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer sk_1_2", "Bearer sk_" + "0" * 5000, "é"],
    )
    def test_what_is_no_key_is_401(
        self, probes: TestClient, make_key: MakeKey, header: str
    ) -> None:
        make_key("predict")
        answer = probes.get("/v1/probes/predict", headers={b"authorization": header.encode()})
        assert answer.status_code == 401
        assert answer.json()["code"] == "key_invalid"

    def test_a_revoked_key_is_401_and_does_not_open_the_service_again(
        self, probes: TestClient, make_key: MakeKey, session: Session
    ) -> None:
        key = make_key("predict")
        assert status(probes, "predict", key.headers) == 200
        revoke_key(session, key.id, actor="cli")
        assert status(probes, "predict", key.headers) == 401
        assert status(probes, "predict") == 401

    def test_any_address_may_ask_with_a_key(
        self, probes: TestClient, app: FastAPI, make_key: MakeKey
    ) -> None:
        far = TestClient(app, base_url="http://serval.example", client=("192.0.2.7", 1))
        assert status(far, "audit", make_key("audit").headers) == 200


class TestSecrets:
    def test_only_the_hash_of_the_secret_is_stored(self, session: Session) -> None:
        made = create_key(session, name="a", scopes=["predict"])
        secret = made.token.rpartition("_")[2]
        row = session.get_one(ApiKey, made.key.id)
        assert row.sha256 == hashlib.sha256(secret.encode()).hexdigest()
        assert secret not in str(vars(row))
        assert len(secret) == 64


class Clock:
    """In the place of the module `time`."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class TestTheCacheOfKeys:
    def test_a_known_key_costs_no_query_until_it_expires(
        self,
        settings: Settings,
        session: Session,
        make_key: MakeKey,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from app.main import create_app

        clock = Clock()
        monkeypatch.setattr("app.access.auth.time", clock)
        patient = settings.model_copy(update={"key_cache_seconds": 5})
        key = make_key("predict")
        app = create_app(patient)
        app.include_router(router)
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
            assert status(client, "predict", key.headers) == 200
            revoke_key(session, key.id, actor="cli")
            clock.now += 4.9
            assert status(client, "predict", key.headers) == 200
            clock.now += 0.2
            assert status(client, "predict", key.headers) == 401
