"""One signature for all kinds: what it finds, and what it takes to check it without us."""

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.signing.ed25519 import fingerprint
from app.signing.schemas import Kind, Part, Signature
from app.signing.signatures import (
    DOES_NOT_SAY,
    SIGNATURE,
    digest_of,
    measured,
    sign,
    to_bytes,
    verify,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"a key of the tests, of 32 bytes.")
FORGER = Ed25519PrivateKey.from_private_bytes(b"a forger's own key, of 32 bytes.")
AUDIT = "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
CONTENT = b'{"worst_uar": 0.42, "finding": "it is broken"}'
ROOT = Path(__file__).resolve().parents[3]


def parts(content: bytes = CONTENT) -> list[Part]:
    return [measured("report.json", content)]


def signature(key: Ed25519PrivateKey = KEY, content: bytes = CONTENT) -> Signature:
    return sign(key, "json", AUDIT, parts(content))


def flipped(content: bytes, at: int, bit: int = 1) -> bytes:
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


@pytest.mark.parametrize("kind", get_args(Kind))
class TestEveryKind:
    def test_what_was_signed_is_unchanged(self, kind: Kind) -> None:
        made = sign(KEY, kind, AUDIT, [measured(f"report.{kind}", CONTENT)])
        verdict = verify(to_bytes(made), [measured(f"report.{kind}", CONTENT)])
        assert (verdict.faults, verdict.trusted, verdict.signature) == ((), None, made)

    def test_every_flipped_byte_names_the_part(self, kind: Kind) -> None:
        name = f"report.{kind}"
        document = to_bytes(sign(KEY, kind, AUDIT, [measured(name, CONTENT)]))
        for at in range(len(CONTENT)):
            verdict = verify(document, [measured(name, flipped(CONTENT, at))])
            assert [fault.part for fault in verdict.faults] == [name], at

    def test_every_flipped_byte_of_the_signature_itself_is_found(self, kind: Kind) -> None:
        found = [measured(f"report.{kind}", CONTENT)]
        document = to_bytes(sign(KEY, kind, AUDIT, found))
        for at in range(len(document)):
            for bit in (0x01, 0x20):  # the latter is another case of the same letter
                assert verify(flipped(document, at, bit), found).faults, (at, bit)


class TestForgery:
    def test_a_digest_made_anew_without_the_key_is_found(self) -> None:
        """The forger changes the report, its hash and the digest, as with a chain of hashes."""
        changed = CONTENT.replace(b"0.42", b"0.92")
        told = signature().model_copy(update={"parts": parts(changed)})
        forged = told.model_copy(update={"digest": digest_of(told)})
        verdict = verify(to_bytes(forged), parts(changed))
        assert [fault.part for fault in verdict.faults] == [SIGNATURE]
        assert f"key {forged.key} did not sign this digest" in verdict.faults[0].why

    def test_a_hash_made_anew_and_not_the_digest_is_found(self) -> None:
        changed = CONTENT.replace(b"0.42", b"0.92")
        forged = signature().model_copy(update={"parts": parts(changed)})
        (fault,) = verify(to_bytes(forged), parts(changed)).faults
        assert fault.part == SIGNATURE
        assert "digest is not that of its parts" in fault.why

    def test_another_key_is_never_one_that_is_known(self) -> None:
        changed = CONTENT.replace(b"0.42", b"0.92")
        document = to_bytes(signature(FORGER, changed))
        known = [fingerprint(KEY.public_key())]
        verdict = verify(document, parts(changed), known)
        assert (verdict.faults, verdict.trusted) == ((), False)
        assert verify(document, parts(changed)).trusted is None

    def test_anothers_key_under_our_fingerprint_is_found(self) -> None:
        forged = signature(FORGER).model_copy(update={"key": fingerprint(KEY.public_key())})
        known = [fingerprint(KEY.public_key())]
        (fault,) = verify(to_bytes(forged), parts(), known).faults
        assert "fingerprint is not that of its key" in fault.why

    def test_a_signature_of_one_kind_or_audit_is_none_of_another(self) -> None:
        for change in ({"kind": "pdf"}, {"audit": AUDIT[:-1] + "G"}):
            forged = signature().model_copy(update=change)
            assert verify(to_bytes(forged), parts()).faults
            forged = forged.model_copy(update={"digest": digest_of(forged)})
            assert verify(to_bytes(forged), parts()).faults

    def test_a_key_that_is_known_is_said_to_be(self) -> None:
        known = [fingerprint(FORGER.public_key()), fingerprint(KEY.public_key())]
        assert verify(to_bytes(signature()), parts(), known).trusted is True


class TestParts:
    def test_a_missing_and_an_added_one_are_named(self) -> None:
        document = to_bytes(sign(KEY, "bundle", AUDIT, [measured("a", b"1"), measured("b", b"2")]))
        verdict = verify(document, [measured("a", b"1"), measured("c", b"3")])
        assert [(fault.part, fault.why) for fault in verdict.faults] == [
            ("b", "is missing"),
            ("c", "was not signed"),
        ]

    def test_one_of_another_length_is_named_with_both(self) -> None:
        (fault,) = verify(to_bytes(signature()), parts(CONTENT + b"\n")).faults
        assert (fault.part, fault.why) == ("report.json", "has 47 bytes, not 46")

    def test_a_name_twice_is_a_fault(self) -> None:
        document = to_bytes(sign(KEY, "bundle", AUDIT, [measured("a", b"1"), measured("a", b"1")]))
        assert verify(document, [measured("a", b"1")]).faults


class TestDocument:
    def test_the_same_bytes_are_signed_with_the_same_bytes(self) -> None:
        assert to_bytes(signature()) == to_bytes(signature())

    def test_the_digest_is_the_documented_one(self) -> None:
        signed = {
            "audit": AUDIT,
            "format": "serval-signature-1",
            "kind": "json",
            "parts": [
                {
                    "bytes": len(CONTENT),
                    "name": "report.json",
                    "sha256": hashlib.sha256(CONTENT).hexdigest(),
                }
            ],
        }
        text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
        assert signature().digest == hashlib.sha256(text.encode()).hexdigest()

    def test_openssl_says_the_same(self, tmp_path: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl")
        made = json.loads(to_bytes(signature()))
        (tmp_path / "message").write_text(f"serval-signature-1\n{made['digest']}\n")
        (tmp_path / "value").write_bytes(base64.b64decode(made["signature"]))
        (tmp_path / "key.pem").write_text(made["public_key"])
        line = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in message -sigfile value"
        checked = subprocess.run(line.split(), cwd=tmp_path, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
        line = "openssl pkey -pubin -in key.pem -outform DER"
        der = subprocess.run(line.split(), cwd=tmp_path, capture_output=True, check=True).stdout
        assert hashlib.sha256(der).hexdigest() == made["key"]

    @pytest.mark.parametrize(
        "document",
        [b"", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format":"serval-signature-2"}'],
    )
    def test_what_is_none_is_a_fault(self, document: bytes) -> None:
        verdict = verify(document, parts())
        assert verdict.signature is None
        assert [fault.part for fault in verdict.faults] == [SIGNATURE]

    def test_white_space_behind_it_is_a_fault(self) -> None:
        (fault,) = verify(to_bytes(signature()) + b"\n", parts()).faults
        assert "written anew" in fault.why


class TestWhatItDoesNotSay:
    def test_stands_in_the_documentation_word_for_word(self) -> None:
        text = " ".join((ROOT / "docs" / "signatures.md").read_text().split())
        assert DOES_NOT_SAY in text
