"""On which kind of file system a folder lies, as Linux tells in /proc/self/mountinfo (proc(5))."""

import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
NETWORK: Final = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.sshfs", "gfs2"),
    *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"),
}
"""File systems of other machines: the locks of SQLite do not reach from one host to another."""


def file_system(path: Path, mounts: str | None = None) -> str | None:
    """The type of the file system that ``path`` lies on, such as "ext4" or "nfs4".

    Args:
        path: absolute; it need not exist yet.
        mounts: the content of mountinfo; read if it is not given.

    Returns:
        None where the system does not tell.
    """
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(errors="surrogateescape")
        except OSError:
            return None
    real = path.resolve()
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        about, _, kind = line.partition(" - ")
        fields = about.split(" ")
        if len(fields) < 5 or not real.is_relative_to(point := Path(_unescaped(fields[4]))):
            continue
        if found is None or len(point.parts) >= found[0]:  # of two on one point the later is seen
            found = (len(point.parts), kind.split(" ")[0])
    return None if found is None else found[1]


def _unescaped(text: str) -> str:
    """Blanks and the like stand there in octal."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
