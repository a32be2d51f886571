"""Which file system a folder lies on; SQLite is refused on one of another machine."""

from pathlib import Path

import pytest

from app import migrations
from app.migrations import open_database
from app.persistence.mounts import file_system
from app.settings import BadSetting, Settings

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:40 / /srv rw - nfs4 files:/srv rw,vers=4.2
32 31 0:41 / /srv/local\\040disk rw - xfs /dev/sdb1 rw
33 22 0:42 / /mnt rw - tmpfs tmpfs rw
34 22 0:43 / /mnt rw - cifs //files/mnt rw
"""


class TestFileSystem:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/var/data", "ext4"),
            ("/srv", "nfs4"),
            ("/srv/serval/data", "nfs4"),
            ("/srvx", "ext4"),
            ("/srv/local disk/data", "xfs"),
            ("/mnt/data", "cifs"),
        ],
    )
    def test_the_innermost_and_latest_mount_counts(self, path: str, kind: str) -> None:
        assert file_system(Path(path), MOUNTINFO) == kind

    def test_this_machine_tells_one(self, tmp_path: Path) -> None:
        assert file_system(tmp_path)


class TestSqliteOnANetwork:
    def test_it_is_refused_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(migrations, "file_system", lambda _: "nfs4")
        with pytest.raises(BadSetting) as refused:
            open_database(Settings(data_dir=tmp_path, database_url_setting=None))
        assert str(refused.value) == (
            f"SERVAL_DATA_DIR is '{tmp_path}', and the SQLite database would lie on nfs4, a file"
            " system of other machines, where its locks do not hold: set DATABASE_URL to a"
            " PostgreSQL."
        )
        assert not (tmp_path / "serval.db").exists()
