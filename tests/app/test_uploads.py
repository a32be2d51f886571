"""Large forms: how many come at one time, and the parts they consist of."""

import io
from contextlib import ExitStack
from typing import Any

import anyio
import pytest
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import Request

from app import uploads
from app.corpora.schemas import CorpusRequest
from app.errors import BadRequest, Invalid, TooLarge, TooMany, Unavailable
from app.uploads import (
    MAX_FIELD_BYTES,
    Places,
    declared_length,
    the_file,
    the_request,
)


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
        with (
            places.one("key_a"),
            places.one("key_b"),
            pytest.raises(Unavailable, match="2 cats are") as caught,
        ):
            places.one("key_c").__enter__()
        assert (caught.value.code, caught.value.headers) == ("cats_busy", {"Retry-After": "7"})

    def test_one_key_has_half_of_them_and_leaves_the_others(self, places: Places) -> None:
        with places.one("key_a"):
            with pytest.raises(TooMany, match="may have 1 of 2 places") as caught:
                places.one("key_a").__enter__()
            with places.one("key_b"):
                pass
        assert (caught.value.code, caught.value.headers) == ("cats_busy", {"Retry-After": "7"})

    @pytest.mark.parametrize(("most", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)])
    def test_a_half_is_at_least_one(self, most: int, share: int) -> None:
        places = Places(most, "cats are being fed", code="cats_busy", retry_after=7)
        with ExitStack() as taken:
            for _ in range(share):
                taken.enter_context(places.one("key_a"))
            with pytest.raises((TooMany, Unavailable)):
                taken.enter_context(places.one("key_a"))

    def test_where_there_are_no_keys_nobody_is_left_any(self, places: Places) -> None:
        with places.one("local"), places.one("local"), pytest.raises(Unavailable):
            places.one("local").__enter__()

    def test_a_place_is_free_again_after_work_that_failed(self, places: Places) -> None:
        for _ in range(3):
            with pytest.raises(TooLarge), places.one("key_a"):
                raise TooLarge("")
        with places.one("key_a"), places.one("key_b"):
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
