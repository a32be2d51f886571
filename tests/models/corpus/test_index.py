"""index.csv: what is read, what is refused, and in which line."""

import pytest

from models.corpus import index as index_module
from models.corpus.index import IndexFileError, read_index, write_index
from models.corpus.manifest import Clip, Manifest

HEADER = "path,speaker,gender,emotion,sentence,duration_s,split\n"


def fault(text: str | bytes) -> IndexFileError:
    with pytest.raises(IndexFileError) as caught:
        read_index(text)
    return caught.value


class TestReadIndex:
    def test_a_line_is_a_clip(self) -> None:
        (clip,) = read_index(HEADER + "a/b.wav,s1,f,anger,k7,2.5,train\n")
        assert clip == Clip("a/b.wav", "s1", "f", "anger", "k7", 2.5, "train")

    def test_columns_may_come_in_any_order_and_others_are_kept(self) -> None:
        (clip,) = read_index("age,Emotion,path, speaker\n41,anger,x.wav,s1\n")
        assert clip == Clip("x.wav", "s1", "", "anger", "", 0.0, None, (("age", "41"),))
        assert (clip.column("age"), clip.column("sentence"), clip.column("mood")) == (
            "41", None, None,
        )  # fmt: skip

    def test_of_other_columns_what_is_no_label_is_left_out_and_so_are_those_beyond_eight(
        self,
    ) -> None:
        names = ",".join(f"c{n}" for n in range(10))
        values = ",".join(["x" * 65, "", "a\x07b", *"3456789"])
        manifest = read_index(f"path,speaker,emotion,{names}\nx.wav,s1,anger,{values}\n")
        assert manifest.clips[0].extra == tuple((f"c{n}", str(n)) for n in range(3, 8))
        assert manifest.columns == ("c3", "c4", "c5", "c6", "c7")

    def test_a_column_of_durations_is_not_grouped_by(self) -> None:
        manifest = read_index("path,speaker,emotion,duration,split\nx.wav,s1,anger,long,test\n")
        assert manifest.columns == ("split",)

    def test_labels_are_lower_case_and_genders_may_be_words(self) -> None:
        (clip,) = read_index(HEADER + "x.wav,S1,Female,Anger,K,,Train\n")
        assert (clip.speaker, clip.gender, clip.emotion, clip.split) == (
            "S1",
            "f",
            "anger",
            "train",
        )

    def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(self) -> None:
        text = "\ufeff" + HEADER.replace("\n", "\r\n") + "x.wav,s1,,anger,,,\r\n\r\n"
        assert read_index(text) == read_index(text.encode())
        assert len(read_index(text)) == 1

    def test_quoted_values_may_hold_commas(self) -> None:
        (clip,) = read_index(HEADER + '"a, b.wav",s1,,anger,"so, then",,\n')
        assert (clip.path, clip.sentence) == ("a, b.wav", "so, then")


class TestDialects:
    """What spreadsheets, shells and other corpora write means what they mean by it."""

    @pytest.mark.parametrize("text", [
        "path;speaker;emotion\r\na/x.wav;s1;anger\r\n",
        "path\tspeaker\temotion\na/x.wav\ts1\tanger\n",
        "sep=;\npath;speaker;emotion\na/x.wav;s1;anger\n",
        "\ufeffsep=,\r\npath,speaker,emotion\r\na/x.wav,s1,anger\r\n",
        "path,speaker,emotion\ra/x.wav,s1,anger\r",
        '"path";"speaker";"emotion"\n"a/x.wav";"s1";"anger"\n',
        "path,speaker,emotion,,\na/x.wav,s1,anger,,\n,,,,\n",
        "path,speaker,emotion\na/x.wav,s1,anger,,\n",
        "path,speaker,emotion\n./a/x.wav,s1,anger\n",
        "path,speaker,emotion\na\\x.wav,s1,anger\n",
        "path,speaker,emotion\n.\\a\\x.wav,s1,anger\n",
        "file,speaker,label\na/x.wav,s1,anger\n",
        "file,label,path,speaker,emotion\n1,7,a/x.wav,s1,anger\n",
    ])  # fmt: skip
    def test_the_same_clip_is_read_of_all(self, text: str) -> None:
        assert read_index(text) == Manifest((Clip("a/x.wav", "s1", "", "anger", "", 0.0, None),))

    def test_the_line_that_names_the_separator_counts_as_a_line(self) -> None:
        assert "line 3" in str(fault("sep=;\npath;speaker;emotion\nx.wav;;anger\n"))

    def test_a_value_beyond_the_columns_is_refused(self) -> None:
        error = fault("path,speaker,emotion\nx.wav,s1,anger,,extra\n")
        assert "5 values for 3 columns" in str(error)

    def test_a_letter_in_two_pieces_is_the_letter(self) -> None:
        """macOS takes names apart (NFD), keyboards do not: a speaker must not become two."""
        text = "path,speaker,emotion\nM\u00fc.wav,M\u00fc,anger\nn.wav,Mu\u0308,anger\n"
        manifest = read_index(text)
        assert manifest.speakers == ("M\u00fc",)
        assert "already stands" in str(fault(text + "Mu\u0308.wav,x,anger\n"))

    @pytest.mark.parametrize("gender", ["", "unknown", "Other", "nan", "N/A", "none"])
    def test_a_gender_that_is_not_told_is_unknown(self, gender: str) -> None:
        (clip,) = read_index(HEADER + f"x.wav,s1,{gender},anger,,,\n")
        assert clip.gender == ""

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            (["train", "val", "test"], ("train", "dev", "test")),
            (["Training", "Validation", "Testing"], ("train", "dev", "test")),
            (["train", "valid"], ("train", "dev")),
            (["train", "devel", "eval"], ("train", "dev", "test")),
            (["train", "eval", "test"], ("train", "dev", "test")),
            (["train", "eval"], ("train", "test")),
        ],
    )
    def test_splits_have_many_names(self, written: list[str], meant: tuple[str, ...]) -> None:
        text = HEADER + "".join(f"{n}.wav,s{n},,anger,,,{one}\n" for n, one in enumerate(written))
        assert read_index(text).splits == meant
        assert [clip.split for clip in read_index(text)] == [*meant]

    def test_an_eval_that_may_be_either_is_refused(self) -> None:
        text = HEADER + "".join(f"{s}.wav,{s},,anger,,,{s}\n" for s in ("dev", "test", "eval"))
        assert "for eval" in str(fault(text))


class TestRefusedIndex:
    @pytest.mark.parametrize("text", ["", "\n", "speaker,emotion\n", "path,path,speaker,emotion\n"])
    def test_columns_missing_or_twice(self, text: str) -> None:
        assert fault(text).code == "index_columns"

    def test_no_clip(self) -> None:
        assert fault(HEADER).code == "index_empty"

    @pytest.mark.parametrize("data", [b"path,speaker,emotion\n\xff", b"path\0"])
    def test_not_text(self, data: bytes) -> None:
        assert fault(data).code == "index_not_text"

    @pytest.mark.parametrize(
        ("line", "named"),
        [
            ("../x.wav,s1,f,anger,k,1,train", "'../x.wav' leaves the corpus folder"),
            ("a/../../x.wav,s1,f,anger,k,1,train", "leaves the corpus folder"),
            ("/etc/passwd,s1,f,anger,k,1,train", "leaves the corpus folder"),
            ("C:\\x.wav,s1,f,anger,k,1,train", "colon"),
            ("..\\x.wav,s1,f,anger,k,1,train", "leaves the corpus folder"),
            (".//etc/passwd,s1,f,anger,k,1,train", "leaves the corpus folder"),
            ("./../x.wav,s1,f,anger,k,1,train", "leaves the corpus folder"),
            ("\\\\host\\x.wav,s1,f,anger,k,1,train", "leaves the corpus folder"),
            ("a//x.wav,s1,f,anger,k,1,train", "plain form"),
            (f"{'x' * 256},s1,f,anger,k,1,train", "256 characters"),
            (",s1,f,anger,k,1,train", "path is empty"),
            ("x.wav,,f,anger,k,1,train", "speaker is empty"),
            ("x.wav,s1,f,,k,1,train", "emotion is empty"),
            (f"x.wav,s1,f,{'e' * 65},k,1,train", "65 characters"),
            ("x.wav,s1,f,an\x07ger,k,1,train", "control character"),
            ("x.wav,s1,x,anger,k,1,train", "gender is 'x'"),
            ("x.wav,s1,f,anger,k,1,exam", "split is 'exam', not one of train"),
            ("x.wav,s1,f,anger,k,long,train", "'long'"),
            ("x.wav,s1,f,anger,k,nan,train", "'nan'"),
            ("x.wav,s1,f,anger,k,-1,train", "'-1'"),
            ("x.wav,s1,f,anger,k,1e9,train", "'1e9'"),
            ("x.wav,s1,f,anger", "4 values for 7 columns"),
            ('x.wav,"s1,f,anger,k,1,train', "not CSV"),
            ("good.wav,s1,f,anger,k,1,train", "already stands in line 2"),
        ],
    )
    def test_the_faulty_line_is_named_with_its_value(self, line: str, named: str) -> None:
        error = fault(f"{HEADER}good.wav,s1,f,anger,k,1,train\n{line}\n")
        assert error.code == "index_lines"
        assert "line 3" in str(error)
        assert named in str(error)

    def test_faults_are_collected_up_to_ten(self) -> None:
        error = fault(HEADER + ",s1,f,anger,k,1,train\n" * 50)
        assert len(error.errors) == 10
        assert "and 9 more" in str(error)

    def test_too_many_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index_module, "MAX_INDEX_BYTES", 10)
        assert fault(HEADER).code == "index_too_large"

    def test_too_many_clips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index_module, "MAX_CLIPS", 2)
        text = HEADER + "".join(f"{n}.wav,s1,f,anger,k,1,train\n" for n in range(9))
        assert fault(text).code == "index_too_large"

    def test_an_endless_value(self) -> None:
        assert "not CSV" in str(fault(HEADER + "x" * 200_000))


class TestWriteIndex:
    def test_what_is_written_is_read_again(self) -> None:
        manifest = Manifest(
            (
                Clip("a, b.wav", "s1", "f", "anger", 'say "so"', 2.0123456789, "train"),
                Clip("c/d.flac", "2", "", "joie de vivre", "", 0.0, None),
            )
        )
        assert read_index(write_index(manifest)) == manifest
