import shutil

import pytest

from gsa.datasets.catalogue import load
from gsa.errors import InputError


def test_turns_are_in_order_of_time_and_other_labels_stay_as_context(tiny):
    test = load("iemocap", root=tiny)["test"]
    first = [e for e in test if e.dialogue.id == "Ses05F_impro01"]
    assert [(e.id, e.target, e.label) for e in first] == [
        ("Ses05F_impro01_F000", 0, "happy"),
        ("Ses05F_impro01_M000", 1, "neutral"),
        ("Ses05F_impro01_F001", 3, "excited"),
    ]
    assert [turn.line() for turn in first[0].dialogue.turns] == [
        "F: The goose is back.",
        "M: Did you feed it?",
        "F: [LAUGHTER]",
        "F: I did, I swear.",
        "M: Hm.",
    ]
    second = [e.label for e in test if e.dialogue.id == "Ses05F_impro02"]
    assert second == ["sad", "angry", "frustrated"]


def test_session_5_is_the_test_and_a_tenth_of_the_other_dialogues_dev(tiny):
    splits = load("iemocap", root=tiny)
    dialogues = {split: {e.dialogue.id for e in found} for split, found in splits.items()}
    assert {split: len(ids) for split, ids in dialogues.items()} == {"train": 11, "dev": 1, "test": 2}
    assert all(id.startswith("Ses05") for id in dialogues["test"])
    assert not any(id.startswith("Ses05") for id in dialogues["train"] | dialogues["dev"])
    assert not dialogues["train"] & dialogues["dev"]


def test_windows_1252_and_utf_8_both(tiny):
    splits = load("iemocap", root=tiny)
    texts = {e.utterance.text for split in ("train", "dev") for e in splits[split]}
    assert {"The “goose” is back.", "The goose is back."} <= texts


@pytest.mark.parametrize("folder", ["iemocap/IEMOCAP_full_release", "IEMOCAP_full_release"])
def test_the_owners_folder_is_found(tmp_path, tiny, folder):
    shutil.copytree(tiny / "iemocap", tmp_path / folder)
    assert load("iemocap", root=tmp_path) == load("iemocap", root=tiny)


SAID = "iemocap/Session1/dialog/transcriptions/Ses01F_impro01.txt"
FELT = "iemocap/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (SAID, "[004.1000-006.2000]", "(4)", r"line 1: expected 'turn \[start-end\]: text', found 'Ses01F"),
        (SAID, "F001", "F009", "expected the turn 'Ses01F_impro01_F001' that has an emotion, found none"),
        (SAID, "FXX0", "F000", "line 3: expected a unique id, found 'Ses01F_impro01_F000'"),
        (FELT, "\thap", "\tjoy", "line 7: expected one of hap, sad.*found 'joy'"),
        (FELT, "\thap\t", " hap ", "line 7: expected '.start - end.<TAB>turn"),
    ],
)
def test_bad_lines_are_refused(root, spoil, name, old, new, said):
    spoil(name, old, new)
    with pytest.raises(InputError, match=said):
        load("iemocap", root=root)


def test_missing_files_are_named(root):
    (root / FELT).unlink()
    with pytest.raises(InputError, match=r"EmoEvaluation.Ses01F_impro01.txt: expected a readable file"):
        load("iemocap", root=root)
    for path in (root / SAID).parent.glob("*.txt"):
        path.unlink()
    with pytest.raises(InputError, match=r"transcriptions: expected files 'Ses.*.txt', found none"):
        load("iemocap", root=root)
    shutil.rmtree(root / "iemocap" / "Session1")
    with pytest.raises(
        InputError,
        match=r"Session1.*and 1 more, found none: its owner, .* then run 'gsa data fetch iemocap --from",
    ):
        load("iemocap", root=root)
