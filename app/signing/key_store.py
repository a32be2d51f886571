"""The installation's Ed25519 key, and the public keys that it has signed with.

    signing/
        key-0001/private.pem      made at first use; the highest number signs
        known/<fingerprint>.pem   every public key that has ever signed here

Each folder and file is built aside and renamed into place. Of several processes or hosts that make
the first key at once, the file system lets one rename its folder to that name: the others find it
there and use it. A process that is killed on the way leaves nothing that counts.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.errors import Conflict, ServalError
from app.persistence.storage import Storage
from app.settings import Settings
from app.signing.ed25519 import (
    BadKey,
    fingerprint,
    private_pem,
    public_pem,
    read_private,
    read_public,
)

FOLDER: Final = "signing"
PRIVATE: Final = "private.pem"
ATTEMPTS: Final = 10
"""To read a key that another process replaces meanwhile."""
TAKEN: Final = {errno.EEXIST, errno.ENOTEMPTY}


class KeyDamaged(ServalError):
    """A key of the installation cannot be read."""

    code = "signing_key_damaged"


class KeyStore:
    """The keys of an installation. Nothing is cached: a key that was replaced counts at once.

    Args:
        storage: of the installation.
        given: a private key in PEM that takes the place of one made here.
    """

    def __init__(self, storage: Storage, given: str | None = None) -> None:
        self._storage = storage
        self._given = given
        self._folder = storage.root / FOLDER

    @classmethod
    def of(cls, storage: Storage, settings: Settings) -> "KeyStore":
        """That of a service."""
        given = settings.signing_key
        return cls(storage, None if given is None else given.get_secret_value())

    def current(self) -> Ed25519PrivateKey:
        """The key that signs; made if there is none yet. Its public key is known afterwards.

        Raises:
            KeyDamaged: its file cannot be read, or does not hold a key.
        """
        key = self._own() if self._given is None else read_private(self._given.encode())
        self._remember(key.public_key())
        return key

    def known(self) -> dict[str, Ed25519PublicKey]:
        """Every public key that has signed here, by its fingerprint.

        Raises:
            KeyDamaged: one cannot be read, or is not what its file is called.
        """
        found = {}
        for path in sorted((self._folder / "known").glob("*.pem")):
            try:
                key = read_public(path.read_bytes())
            except (OSError, BadKey) as error:
                raise _damaged(path, error) from error
            if fingerprint(key) != path.stem:
                raise _damaged(path, "it holds another key than its name says")
            found[path.stem] = key
        return found

    def rotate(self) -> Ed25519PrivateKey:
        """Make a new key, with which everything is signed from now on. The one before signs nothing
        any more and is removed; its public key stays known.

        Raises:
            Conflict: the key is given by a setting (code ``signing_key_given``), or somebody else
                rotates at the same moment (``signing_key_rotated``).
            KeyDamaged: the one before cannot be read, so its public key may not be known.
        """
        if self._given is not None:
            raise Conflict(
                "The signing key is that of SERVAL_SIGNING_KEY_FILE. Put another one there and"
                " start the service again: the one before stays known.",
                code="signing_key_given",
            )
        self.current()
        before = self._numbers()
        if not self._make(before[-1] + 1):
            raise Conflict(
                "Somebody else has rotated the signing key at this moment. Look at the new one:"
                " serval signing-key show.",
                code="signing_key_rotated",
            )
        for number in before:
            self._storage.remove(self._place(number))
        return self.current()

    def _own(self) -> Ed25519PrivateKey:
        for _ in range(ATTEMPTS):
            numbers = self._numbers()
            if not numbers:
                self._make(1)
                continue
            path = self._place(numbers[-1]) / PRIVATE
            try:
                return read_private(path.read_bytes())
            except FileNotFoundError as error:
                if self._place(numbers[-1]).is_dir():
                    raise _damaged(path, error) from error
            except (OSError, BadKey) as error:  # a folder that went is one that was rotated
                raise _damaged(path, error) from error
        raise KeyDamaged(f"The signing key in {self._folder} is replaced again and again.")

    def _numbers(self) -> list[int]:
        return sorted(int(path.name[4:]) for path in self._folder.glob("key-[0-9][0-9][0-9][0-9]"))

    def _place(self, number: int) -> Path:
        return self._folder / f"key-{number:04d}"

    def _make(self, number: int) -> bool:
        """Make the key of that number; False if somebody else was faster."""
        with self._storage.staging() as staged:
            folder = staged / "key"
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder / PRIVATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(private_pem(Ed25519PrivateKey.generate()))
            try:
                self._storage.publish(folder, self._place(number))
            except OSError as error:
                if isinstance(error, FileExistsError) or error.errno in TAKEN:
                    return False
                raise
        return True

    def _remember(self, key: Ed25519PublicKey) -> None:
        """Before it signs anything: nothing is ever signed by a key that is not known."""
        final = self._folder / "known" / f"{fingerprint(key)}.pem"
        if final.is_file():
            return
        with self._storage.staging() as staged:
            draft = staged / final.name
            draft.write_text(public_pem(key), encoding="ascii")
            with suppress(FileExistsError):  # the same, of another process
                self._storage.publish(draft, final)


def _damaged(path: Path, why: object) -> KeyDamaged:
    return KeyDamaged(
        f"The signing key {path.parent.name}/{path.name} cannot be used: {why}. Restore signing/ in"
        " the data folder from a backup; or remove that file's folder, and a new key is made, which"
        " those who know the old one will not recognise."
    )
