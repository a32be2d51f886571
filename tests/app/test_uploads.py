"""Large forms: how slow one may be, how many come at one time, and the parts they consist of."""

import io
from typing import Any

import anyio
import pytest
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import Request
from starlette.types import Message

from app import uploads
from app.corpora.schemas import CorpusRequest
from app.errors import BadRequest, Invalid, TooLarge, TooSlow, Unavailable
from app.uploads import (
    MAX_FIELD_BYTES,
    Places,
    declared_length,
    multipart,
    the_file,
    the_request,
)

HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
END = b"\r\n--x--\r\n"


def received(body: list[bytes], every_seconds: float) -> bytes:
    """What comes of a file whose pieces arrive at that interval, and of the silence after them."""
    pieces = [HEAD, *body]

    async def receive() -> Message:
        if not pieces:
            await anyio.sleep_forever()
        await anyio.sleep(every_seconds)
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": not piece.endswith(END)}

    async def read() -> bytes:
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        request = Request({"type": "http", "headers": headers}, receive)
        with anyio.fail_after(10):  # or it would go on for a minute
            async with multipart(request, most_bytes=10**6) as form:
                return await the_file(form).read()

    return anyio.run(read)


class TestPace:
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uploads, "BEHIND_SECONDS", 0.3)

    def test_a_body_that_trickles_is_408_and_ends_the_connection(self) -> None:
        with pytest.raises(TooSlow, match="65536 bytes a second") as caught:
            received([b"1"] * 1000, every_seconds=0.02)  # never silent, and never done
        assert (caught.value.status, caught.value.code) == (408, "upload_too_slow")
        assert caught.value.headers == {"Connection": "close"}

    def test_a_body_that_keeps_the_rate_may_take_its_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "LEAST_BYTES_PER_SECOND", 100)
        body = [b"1" * 100] * 20
        assert received([*body, END], every_seconds=0.03) == b"".join(body)

    def test_a_body_that_stops_coming_is_408(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uploads, "STALL_SECONDS", 0.1)
        with pytest.raises(TooSlow, match="stopped coming") as caught:
            received([b"1" * 1000], every_seconds=0)
        assert (caught.value.status, caught.value.code) == (408, "upload_stalled")


class TestDeclaredLength:
    @pytest.mark.parametrize(
        ("length", "bytes_"),
        [(b"0", 0), (b"123", 123), (b"", None), (b"-1", None), (b"x", None), (b"\xb2", None)],
    )
    def test_it_is_a_number_or_none(self, length: bytes, bytes_: int | None) -> None:
        scope = {"type": "http", "headers": [(b"content-length", length)]}
        assert declared_length(Request(scope)) == bytes_

    def test_one_of_thousands_of_digits_is_large_and_no_error(self) -> None:
        scope = {"type": "http", "headers": [(b"content-length", b"9" * 5000)]}
        assert (declared_length(Request(scope)) or 0) > uploads.ANY_SIZE

    def test_there_need_be_none(self) -> None:
        assert declared_length(Request({"type": "http", "headers": []})) is None


class TestPlaces:
    @pytest.fixture
    def places(self) -> Places:
        return Places(2, "cats are being fed", code="cats_busy", retry_after=7)

    def test_one_more_than_there_are_is_503_and_told_when_to_come_again(
        self, places: Places
    ) -> None:
        with places.one(), places.one(), pytest.raises(Unavailable, match="2 cats are") as caught:
            places.one().__enter__()
        assert (caught.value.code, caught.value.headers) == ("cats_busy", {"Retry-After": "7"})

    def test_a_place_is_free_again_after_work_that_failed(self, places: Places) -> None:
        for _ in range(3):
            with pytest.raises(TooSlow), places.one():
                raise TooSlow("")
        with places.one(), places.one():
            pass


def blob(content: bytes, filename: str = "blob") -> UploadFile:
    """A part as a browser's FormData sends a Blob of JSON."""
    headers = Headers({"content-type": "application/json"})
    return UploadFile(io.BytesIO(content), filename=filename, headers=headers)


def wanted(*parts: tuple[str, Any]) -> CorpusRequest:
    return anyio.run(the_request, FormData(list(parts)), CorpusRequest)


class TestRequestPart:
    def test_it_is_text_or_a_browsers_blob(self) -> None:
        text = '{"name": "é"}'
        assert wanted(("request", text)) == wanted(("request", blob(text.encode())))

    def test_a_blob_of_more_than_a_megabyte_is_413(self) -> None:
        with pytest.raises(TooLarge):
            wanted(("request", blob(b" " * MAX_FIELD_BYTES + b"{}")))

    @pytest.mark.parametrize("content", [b"{name", b"\xff"])
    def test_a_blob_that_is_not_json_is_400(self, content: bytes) -> None:
        with pytest.raises(BadRequest, match="'request' is not JSON"):
            wanted(("request", blob(content)))

    def test_two_of_them_are_refused(self) -> None:
        with pytest.raises(Invalid, match="2 parts 'request'"):
            wanted(("request", "{}"), ("request", blob(b"{}")))

    def test_two_files_where_one_is_expected_are_refused(self) -> None:
        with pytest.raises(Invalid, match="2 parts 'file'"):
            the_file(FormData([("file", blob(b"1")), ("file", blob(b"2"))]))
