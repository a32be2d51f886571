"""Large forms: their length, and the parts they consist of."""

import io
from typing import Any

import anyio
import pytest
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import Request

from app.corpora.schemas import CorpusRequest
from app.errors import BadRequest, Invalid, TooLarge
from app.http import forms
from app.http.forms import (
    MAX_FIELD_BYTES,
    declared_length,
    the_file,
    the_request,
)


class TestDeclaredLength:
    @pytest.mark.parametrize(
        ("length", "bytes_"),
        [(b"0", 0), (b"123", 123), (b"", None), (b"-1", None), (b"x", None), (b"\xb2", None)],
    )
    def test_a_declared_length_is_a_number_or_none(self, length: bytes, bytes_: int | None) -> None:
        scope = {"type": "http", "headers": [(b"content-length", length)]}
        assert declared_length(Request(scope)) == bytes_

    def test_one_of_thousands_of_digits_is_large_and_no_error(self) -> None:
        scope = {"type": "http", "headers": [(b"content-length", b"9" * 5000)]}
        assert (declared_length(Request(scope)) or 0) > forms.ANY_SIZE

    def test_a_request_need_not_declare_one(self) -> None:
        assert declared_length(Request({"type": "http", "headers": []})) is None


def blob(content: bytes, filename: str = "blob") -> UploadFile:
    """A part as a browser's FormData sends a Blob of JSON."""
    headers = Headers({"content-type": "application/json"})
    return UploadFile(io.BytesIO(content), filename=filename, headers=headers)


def wanted(*parts: tuple[str, Any]) -> CorpusRequest:
    return anyio.run(the_request, FormData(list(parts)), CorpusRequest)


class TestRequestPart:
    def test_the_request_is_text_or_a_browsers_blob(self) -> None:
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
