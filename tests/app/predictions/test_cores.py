"""How many cores a lone clip has, from what the kernel counts."""

from pathlib import Path

import pytest

from app.predictions.cores import FreeCores, Look, cpu_quota, look_at

STAT = """cpu  400 0 200 9000 50 0 10 5 0 0
cpu0 100 1 50 4500 20 2 3 4 900 900
cpu1 300 0 150 4500 30 0 7 5 0 0
intr 1 2 3
"""


def after(*looks: Look | None, cores: int = 4, quota: float = float("inf"), most: int = 4) -> int:
    """How many are free when all that was seen."""
    seen = iter(looks)
    free = FreeCores(most, cores, lambda: next(seen), quota)
    for _ in looks:
        free.look()
    return free.now


class TestFreeCores:
    @pytest.mark.parametrize(
        ("others", "free"), [(0.0, 4), (0.4, 4), (0.9, 3), (1.0, 3), (2.0, 2), (4.0, 1), (9.0, 1)]
    )
    def test_are_those_that_others_leave(self, others: float, free: int) -> None:
        assert after(Look(10, 50, 7), Look(10.25, 50 + others / 4, 7)) == free

    def test_own_work_is_nobody_elses(self) -> None:
        assert after(Look(0, 0, 0), Look(1, 4, 4)) == 4
        assert after(Look(0, 0, 0), Look(1, 4, 2)) == 2

    def test_are_all_of_them_until_that_is_known(self) -> None:
        assert after(Look(0, 0, 0)) == 4
        assert after(None, None) == 4

    @pytest.mark.parametrize(("quota", "free"), [(0.5, 1), (1.0, 1), (1.9, 1), (3.0, 3), (9.0, 4)])
    def test_are_no_more_than_the_quota(self, quota: float, free: int) -> None:
        assert after(quota=quota) == free
        assert after(Look(0, 0, 0), Look(1, 0, 0), quota=quota) == free

    def test_are_no_more_than_would_be_used(self) -> None:
        assert after(Look(0, 0, 0), Look(1, 0, 0), cores=64, most=2) == 2


class TestLook:
    def test_counts_what_these_cores_did(self, tmp_path: Path) -> None:
        (tmp_path / "stat").write_text(STAT)
        both, one = (look_at(cores, tmp_path / "stat") for cores in ([0, 1], [1]))
        assert both is not None
        assert one is not None
        assert (both.busy, one.busy) == (6.22, 4.62)

    def test_where_there_is_no_such_file_it_sees_nothing(self, tmp_path: Path) -> None:
        assert look_at([0], tmp_path / "none") is None

    def test_of_this_machine_goes_forward(self) -> None:
        first, second = look_at([0]), look_at([0])
        if first is not None and second is not None:  # elsewhere than on Linux
            assert first.at <= second.at
            assert 0 < first.busy <= second.busy


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


class TestQuota:
    def own(self, tmp_path: Path, text: str) -> Path:
        (tmp_path / "own").write_text(text)
        return tmp_path / "own"

    @pytest.mark.parametrize(
        ("text", "cores"),
        [("150000 100000\n", 1.5), ("max 100000\n", float("inf")), ("?", float("inf"))],
    )
    def test_of_a_container_under_version_2(self, tmp_path: Path, text: str, cores: float) -> None:
        group(tmp_path / "top", cpu__max=text)
        assert cpu_quota(tmp_path / "top", self.own(tmp_path, "0::/\n")) == cores

    def test_of_a_service_under_version_2(self, tmp_path: Path) -> None:
        group(tmp_path / "top" / "system.slice" / "serval.service", cpu__max="50000 100000")
        own = self.own(tmp_path, "0::/system.slice/serval.service\n")
        assert cpu_quota(tmp_path / "top", own) == 0.5

    @pytest.mark.parametrize(("quota", "cores"), [("200000", 2.0), ("-1", float("inf"))])
    def test_under_version_1(self, tmp_path: Path, quota: str, cores: float) -> None:
        folder = tmp_path / "top" / "cpu,cpuacct" / "docker" / "x"
        group(folder, cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
        own = self.own(tmp_path, "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n")
        assert cpu_quota(tmp_path / "top", own) == cores

    def test_without_control_groups_there_is_none(self, tmp_path: Path) -> None:
        assert cpu_quota(tmp_path / "none", tmp_path / "none") == float("inf")
