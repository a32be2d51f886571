"""What stands in a page, and that nothing that comes from outside does anything in it."""

import html.parser
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.reports import html as pages
from app.reports.commands import submit
from tests.app.reports.conftest import lay_down
from tests.app.reports.made import FINDING, Made, judged, made

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "</svg><script>alert(1)</script>",
    "</text><image href=x onerror=alert(1) />",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    '"><iframe src=javascript:alert(1)>',
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "<meta http-equiv=refresh content=0;url=//host.invalid>",
    "<base href=//host.invalid/>",
    "<link rel=stylesheet href=//host.invalid/a.css>",
    "<form action=//host.invalid><input type=submit>",
    "{{ 7 * 7 }}{% raw %}",
    "${alert(1)}`$(touch /tmp/owned)`",
    "<!-- --><title>x</title>]]>",
    "<math><mtext></p><style><img src=x onerror=alert(1)>",
)
"""Names that corpora, speakers and models may have."""


class Elements(html.parser.HTMLParser):
    """What a browser would find: elements with their attributes, ids, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend((name, value or "") for name, value in attrs)

    def values(self, name: str) -> list[str]:
        return [value for one, value in self.attributes if one == name]


def page(one: Made, folder: Path) -> str:
    return pages.write(lay_down(one, folder)).decode()


def hostile(name: str) -> Made:
    """An audit in which every name that comes from outside is this one."""
    labels = [f"{name}{n}" for n in range(3)]
    one = judged(
        made(12, labels=labels, name=name, clip=name.replace("{", "{{").replace("}", "}}") + "{n}")
    )
    one.report.warnings = [name]
    one.report.result.finding = name
    one.report.model.training = {name: name}
    one.report.request |= {"metadata": {name: name}, "group_by": name}
    for row in one.rows:
        object.__setattr__(row, "speaker", name)
    return one


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Elements:
    """A page in which all names are harmless."""
    return Elements(page(hostile("a name"), tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of an audit of 48 clips."""
    return page(judged(made()), tmp_path_factory.mktemp("page"))


class TestNames:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_make_no_element_and_no_attribute(
        self, tmp_path: Path, plain: Elements, name: str
    ) -> None:
        found = Elements(page(hostile(name), tmp_path))
        assert found.tags == plain.tags
        assert {one for one, _ in found.attributes} == {one for one, _ in plain.attributes}
        assert found.values("href") == plain.values("href")

    def test_letters_that_turn_or_hide_others_are_seen(self, tmp_path: Path) -> None:
        text = page(hostile("gpj.\u202egnorw\u0000\u200b"), tmp_path)
        assert not re.search("[\u202e\u0000\u200b]", text)
        assert r"gpj.\u202egnorw\x00\u200b" in text

    def test_of_any_script_stay_as_they_are(self, tmp_path: Path) -> None:
        assert "愤怒 غضب гнев" in page(hostile("愤怒 غضب гнев"), tmp_path)


class TestPage:
    def test_evidence_and_finding_stand_before_all_else(self, text: str) -> None:
        body = text.partition("<main>")[2]
        places = [body.index(word) for word in ("weak", FINDING[:40], "<svg", "What speaks")]
        assert places == sorted(places)

    def test_every_check_stands_there_with_what_was_found_or_why_not(self, text: str) -> None:
        for told in (
            "few_right_before", "34 clips were right before, of 48.",
            "training_speakers", "The model does not say what it was trained on.", "one_class",
        ):  # fmt: skip
            assert told in text

    def test_a_remedy_is_a_patch_and_a_command(self, text: str) -> None:
        assert "&#34;limit&#34;: null" in text
        assert "curl http://127.0.0.1:8000/v1/audits" in text

    def test_says_what_was_audited(self, text: str) -> None:
        for told in ("3c9e" * 16, "77d1" * 16, "12 speakers", "torch 2.11.0", "seed 0"):
            assert told in text

    def test_says_the_threat_models_in_plain_words(self, text: str) -> None:
        # 20 / ln 10 · .02 · 2.41 = .42
        assert "ε = 0.02 σ is ±0.42 dB in the loudest band" in text
        assert "30 dB SNR: the change has 1/32 of the clip&#39;s amplitude and 1/1,000" in text

    def test_ids_are_of_one_element_each_and_lead_somewhere(self, text: str) -> None:
        found = Elements(text)
        ids = found.values("id")
        assert len(ids) == len(set(ids))
        inside = [href[1:] for href in found.values("href") if href.startswith("#")]
        assert set(inside) <= set(ids)

    def test_no_element_has_a_style_of_its_own_or_a_handler(self, text: str) -> None:
        names = {name for name, _ in Elements(text).attributes}
        assert "style" not in names
        assert not {name for name in names if name.startswith("on")}

    def test_defines_every_figure(self, text: str) -> None:
        for anchor in ("def-uar", "def-over_control", "def-flips", "def-smallest_strength"):
            assert f'id="{anchor}"' in text

    def test_clips_without_labels_have_flips_in_place_of_uar(self, tmp_path: Path) -> None:
        text = page(made(12, labelled=False), tmp_path)
        assert "Share of changed predictions" in text
        assert "no clip has a label" in text


class TestCommands:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_shell_reads_the_request_as_it_is(self, tmp_path: Path, name: str) -> None:
        request = {"model": name, "list": ["AUDIT", "\nAUDIT\n", name]}
        command = submit(request, "http://127.0.0.1:8000/").replace("curl ", "sink ", 1)
        script = f"sink() {{ cat > {shlex.quote(str(tmp_path / 'sent'))}; }}\n{command}\n"
        subprocess.run(["bash", "-euc", script], check=True, env={"SERVAL_KEY": "k"})
        assert json.loads((tmp_path / "sent").read_text()) == request
