"""Every error is a problem document (RFC 9457)."""

import json
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Query
from fastapi.testclient import TestClient
from pydantic import Field
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import Invalid, NotFound, TooMany, Unavailable, shown
from app.http.problems import field_problem
from app.persistence.database import connect, why_away
from app.schemas import Metadata, Name, Schema
from tests.app.state import state

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "errors", "request_id"}


class Wanted(Schema):
    name: Name
    epsilon: float = 0.02
    metadata: Metadata = Field(default_factory=dict)


router = APIRouter(prefix="/v1/probes")


@router.post("")
def take(wanted: Wanted) -> Wanted:
    return wanted


@router.put("")
def put_it(wanted: Wanted) -> Wanted:
    return wanted


@router.get("")
def give(what: str, n: Annotated[int, Query(le=10)] = 1) -> None:
    raise {
        "nothing": NotFound("There is no such probe."),
        "later": Unavailable("Not now.", retry_after=2.2),
        "slower": TooMany("Too fast.", retry_after=0),
        "bug": RuntimeError("secret inner detail"),
        "braces": HTTPException(400, "the set {a, b} and {} and {0.x}"),
        "odd": Invalid("a lone surrogate: \ud800"),
    }[what]


@pytest.fixture
def probes(app: FastAPI, client: TestClient) -> TestClient:
    app.include_router(router, max_body_size=1000)
    return client


def body(answer: Any) -> dict[str, Any]:
    """The problem document in the answer, checked for its form."""
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() == MEMBERS
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["x-request-id"]
    assert document["type"] == f"urn:serval:problem:{document['code']}"
    return document


def post(client: TestClient, text: str | bytes) -> Any:
    return client.post("/v1/probes", content=text, headers={"content-type": "application/json"})


class TestEveryErrorIsAProblem:
    def test_404_of_an_unknown_path(self, probes: TestClient) -> None:
        problem = body(probes.get("/v1/unknown"))
        assert (problem["status"], problem["code"]) == (404, "not_found")
        assert problem["instance"] == "/v1/unknown"

    def test_404_of_a_service(self, probes: TestClient) -> None:
        problem = body(probes.get("/v1/probes?what=nothing"))
        assert problem["detail"] == "There is no such probe."

    def test_405_names_the_methods_of_every_route_of_the_path(self, probes: TestClient) -> None:
        answer = probes.delete("/v1/probes")
        assert body(answer)["code"] == "method_not_allowed"
        assert answer.headers["allow"] == "GET, POST, PUT"

    def test_413_of_a_declared_length(self, probes: TestClient) -> None:
        problem = body(post(probes, b"x" * 2000))
        assert (problem["status"], problem["code"]) == (413, "too_large")
        assert "larger than the 1000 bytes" in problem["detail"]

    def test_413_of_a_chunked_body(self, probes: TestClient) -> None:
        chunks = (b"x" * 100 for _ in range(20))
        answer = probes.post(
            "/v1/probes", content=chunks, headers={"content-type": "application/json"}
        )
        assert "content-length" not in answer.request.headers
        assert body(answer)["code"] == "too_large"
        assert "larger than the 1000 bytes" in answer.json()["detail"]

    def test_the_next_good_request_works(self, probes: TestClient) -> None:
        post(probes, b"x" * 2000)
        assert post(probes, '{"name": "a"}').status_code == 200

    def test_500_tells_nothing_of_the_inside(self, probes: TestClient) -> None:
        problem = body(probes.get("/v1/probes?what=bug"))
        assert (problem["status"], problem["code"]) == (500, "internal_error")
        assert "secret" not in json.dumps(problem)

    def test_the_frameworks_words_are_told_as_they_stand(self, probes: TestClient) -> None:
        problem = body(probes.get("/v1/probes?what=braces"))
        assert problem["status"] == 400
        assert problem["detail"] == "the set {a, b} and {} and {0.x}"

    def test_text_that_no_encoding_takes_is_still_told(self, probes: TestClient) -> None:
        assert body(probes.get("/v1/probes?what=odd"))["detail"].endswith("\ud800")

    @pytest.mark.parametrize(("what", "status", "seconds"), [("later", 503, 3), ("slower", 429, 1)])
    def test_429_and_503_say_when_to_come_back(
        self, probes: TestClient, what: str, status: int, seconds: int
    ) -> None:
        answer = probes.get("/v1/probes", params={"what": what})
        assert body(answer)["status"] == status
        assert answer.headers["retry-after"] == str(seconds)


class TestWhileTheDatabaseIsAway:
    SECRET = "SELECT secret FROM api_keys"

    def away(self, **more: Any) -> list[Exception]:
        """What SQLAlchemy raises, with the statement in it."""
        why = Exception("server closed the connection")
        return [
            OperationalError(self.SECRET, {}, why),
            InterfaceError(self.SECRET, {}, why, connection_invalidated=True),
            PoolTimeout("QueuePool limit of size 10 overflow 50 reached"),
            DBAPIError(self.SECRET, {}, why, connection_invalidated=True),
        ]

    @pytest.mark.parametrize("number", range(4))
    def test_an_endpoint_answers_503_and_tells_no_statement(
        self, probes: TestClient, app: FastAPI, number: int
    ) -> None:
        def fail() -> None:
            raise self.away()[number]

        app.add_api_route("/v1/failing", fail)
        answer = probes.get("/v1/failing")
        problem = body(answer)
        assert (problem["status"], problem["code"]) == (503, "database_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert f"The database {why_away(self.away()[number])}." in problem["detail"]
        for secret in ("api_keys", "server closed", "QueuePool"):
            assert secret not in answer.text

    def test_a_statement_that_is_wrong_stays_a_500(self, probes: TestClient, app: FastAPI) -> None:
        def fail() -> None:
            raise ProgrammingError(self.SECRET, {}, Exception("no such column"))

        app.add_api_route("/v1/failing", fail)
        answer = probes.get("/v1/failing")
        assert (body(answer)["status"], body(answer)["code"]) == (500, "internal_error")
        assert "api_keys" not in answer.text

    def test_every_endpoint_answers_503_and_the_next_good_request_works(
        self, client: TestClient, app: FastAPI
    ) -> None:
        answers = {"/v1/jobs", "/v1/corpora", "/v1/models", "/v1/keys", "/v1/jobs/audit_1"}
        absent = connect("postgresql://serval:hush@127.0.0.1:1/serval")
        state(app).sessions.configure(bind=absent)
        for path in answers:
            answer = client.get(path)
            assert (answer.status_code, body(answer)["code"]) == (503, "database_unavailable")
            assert "127.0.0.1:1" not in answer.text
        state(app).sessions.configure(bind=state(app).engine)
        assert client.get("/v1/jobs").status_code == 200


class TestValidation:
    def test_a_problem_names_the_field_the_value_and_the_remedy(self, probes: TestClient) -> None:
        problem = body(probes.get("/v1/probes?what=nothing&n=11"))
        assert problem["status"] == 422
        assert problem["errors"] == [
            {
                "field": "query.n",
                "value": "'11'",
                "message": "Input should be less than or equal to 10",
                "remedy": "give a value of at most 10",
            }
        ]
        assert "query.n" in problem["detail"]

    def test_an_unknown_field_is_refused_by_name(self, probes: TestClient) -> None:
        problem = body(post(probes, '{"name": "a", "epsylon": 1}'))
        assert problem["errors"][0]["field"] == "epsylon"
        assert "unknown fields are refused" in problem["errors"][0]["remedy"]

    def test_a_long_value_is_cut(self, probes: TestClient) -> None:
        problem = body(post(probes, json.dumps({"name": "n" * 500})))
        assert len(problem["errors"][0]["value"]) <= 80

    def test_some_of_many_errors_are_listed(self, probes: TestClient) -> None:
        wrong = json.dumps({f"f{i}": i for i in range(60)})
        problem = body(post(probes, wrong))
        assert len(problem["errors"]) == 20
        assert "60 more" in problem["detail"]

    def test_what_is_not_json_is_400(self, probes: TestClient) -> None:
        problem = body(post(probes, '{"name": '))
        assert (problem["status"], problem["code"]) == (400, "malformed_json")
        assert "character 9" in problem["detail"]

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_no_float_may_be_infinite_or_nan(self, probes: TestClient, number: str) -> None:
        problem = body(post(probes, f'{{"name": "a", "epsilon": {number}}}'))
        assert problem["status"] == 422
        assert "finite" in problem["errors"][0]["message"]

    @pytest.mark.parametrize(
        "sent",
        [
            '{"name": NaN}',
            '{"name": "\\ud800"}',
            '{"name": "a\\u0000b"}',
            '{"name": "   "}',
            '{"name": "a", "metadata": {"x": NaN}}',
            '{"name": "a", "metadata": {"x": "\\ud800"}}',
            '{"name": "a", "metadata": {"\\ud800": 1}}',
            '{"name": "a", "metadata": ' + '{"x":' * 30 + "1" + "}" * 30 + "}",
            '{"\\ud800": 1}',
            "NaN",
            "[]",
            "null",
            '"name"',
            "1" * 900,
        ],
    )
    def test_odd_json_is_422(self, probes: TestClient, sent: str) -> None:
        assert body(post(probes, sent))["status"] == 422

    @pytest.mark.parametrize("sent", ["[" * 900, '{"name": "a\x01"}', "\xff\xfe", "{'name': 1}"])
    def test_what_no_parser_takes_is_400(self, probes: TestClient, sent: str) -> None:
        assert body(post(probes, sent.encode("latin-1")))["status"] == 400

    @pytest.mark.parametrize(
        ("headers", "named"),
        [
            ({"content-type": "text/plain"}, "The Content-Type is 'text/plain'"),
            (
                {"content-type": "application/x-www-form-urlencoded"},  # what curl -d says
                "The Content-Type is 'application/x-www-form-urlencoded'",
            ),
            ({}, "There is no Content-Type"),
        ],
    )
    def test_json_under_another_content_type_is_415_with_the_remedy(
        self, probes: TestClient, headers: dict[str, str], named: str
    ) -> None:
        problem = body(probes.post("/v1/probes", content='{"name": "a"}', headers=headers))
        assert (problem["status"], problem["code"]) == (415, "unsupported_media_type")
        assert problem["detail"].startswith(named)
        assert "-H 'Content-Type: application/json'" in problem["detail"]


class TestFieldProblem:
    """What a validator of ours says ends with what would be right: that is the remedy."""

    @pytest.mark.parametrize(
        ("said", "message", "remedy"),
        [
            ("holds 0 strengths: give 1 to 32", "holds 0 strengths", "give 1 to 32"),
            ("Value error, is odd: leave it out", "is odd", "leave it out"),
            ("is neither: a nor b: choose one", "is neither: a nor b", "choose one"),
            ('is é: give "e"', "is \\xe9", 'give "e"'),
            ("is wrong", "is wrong", None),
        ],
    )
    def test_a_message_is_cut_in_two(self, said: str, message: str, remedy: str | None) -> None:
        found = field_problem({"type": "ours", "loc": ("body", "a", 0), "msg": said, "input": 1})
        assert (found.field, found.value) == ("a.0", "1")
        assert (found.message, found.remedy) == (message, remedy)

    def test_a_field_that_is_missing_has_no_value(self) -> None:
        found = field_problem({"type": "missing", "loc": ("a",), "msg": "is missing: give b"})
        assert (found.value, found.remedy) == (None, "give b")
        plain = field_problem({"type": "missing", "loc": ("a",), "msg": "Field required"})
        assert plain.remedy == "add it"


class TestShown:
    def test_what_is_shown_is_short_and_ascii(self) -> None:
        for value in ["ä" * 500, "\ud800", [[[[[1]]]]] * 50, {"a": "b" * 200}, float("nan"), None]:
            text = shown(value)
            assert len(text) <= 80
            assert text.isascii()
