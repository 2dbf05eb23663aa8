import pytest

from gsa.datasets.catalogue import load
from gsa.errors import InputError


def test_every_utterance_is_a_target_in_its_dialogue(tiny):
    train = load("meld", root=tiny)["train"]
    assert [e.id for e in train] == ["dia0_utt0", "dia0_utt1", "dia0_utt3", "dia2_utt0", "dia2_utt1"]
    assert [e.label for e in train] == ["anger", "fear", "surprise", "neutral", "sadness"]
    assert train[0].dialogue is train[2].dialogue
    assert train[2].dialogue is not train[3].dialogue
    assert train[0].utterance.line() == "Ada: Who ate the “last” plum?"


def test_dialogues_start_again_in_each_split(tiny):
    splits = load("meld", root=tiny)
    assert [splits[split][0].id for split in ("train", "dev", "test")] == ["dia0_utt0"] * 3
    assert [len(splits[split][0].dialogue.turns) for split in ("train", "dev", "test")] == [3, 1, 2]


def test_an_older_copy_in_windows_1252_gives_the_same(root, tiny):
    path = root / "meld" / "train_sent_emo.csv"
    path.write_bytes(path.read_bytes().decode().encode("cp1252"))
    assert load("meld", root=root) == load("meld", root=tiny)


def test_plain_has_utterances_of_plain_emotions_that_mustardpp_does_not_test(root):
    path = root / "meld" / "train_sent_emo.csv"
    path.write_text(path.read_text().replace("Good morning.", "It's dry as a FISH!"))
    splits = load("meld-plain", root=root)
    assert [(e.id, e.label) for e in splits["train"]] == [
        ("dia0_utt1", "non-sarcastic"),
        ("dia2_utt1", "non-sarcastic"),
    ]
    turns = splits["train"][1].dialogue.turns
    assert [turn.text for turn in turns] == ["It's dry as a FISH!", "Is it, though?"]


def test_rows_in_another_order_give_the_same(root, tiny):
    path = root / "meld" / "train_sent_emo.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert load("meld", root=root) == load("meld", root=tiny)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("anger", "angry", r"line 2: expected one of neutral.*found 'angry' \(did you mean 'anger'"),
        (",0,3,", ",0,1,", "line 4: expected a unique id, found 'dia0_utt1', as at .* line 3"),
        (",0,3,", ",0,x,", "line 4: expected numeric ids, found '0' and 'x'"),
        ("Emotion", "Feeling", "line 1: expected a column 'Emotion'"),
    ],
)
def test_bad_rows_are_refused(root, spoil, old, new, said):
    spoil("meld/train_sent_emo.csv", old, new)
    with pytest.raises(InputError, match=said):
        load("meld", root=root)
