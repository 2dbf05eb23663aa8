import pytest

from gsa.datasets.catalogue import get, load
from gsa.errors import InputError


def test_blank_lines_stay_so_that_lines_align(tiny):
    splits = load("tweeteval-hate", root=tiny)
    assert [(e.id, e.utterance.text, e.label) for e in splits["train"]] == [
        ("train_1", "I like @user and ducks", "not-hate"),
        ("train_2", "", "hate"),
        ("train_3", "down with ducks", "hate"),
    ]
    assert [(e.id, e.utterance.text) for e in splits["dev"]] == [("val_1", ""), ("val_2", "ducks, fine")]
    assert [e.id for e in splits["test"]] == ["test_1"]


def test_an_emoji_is_answered_as_itself(tiny):
    splits = load("tweeteval-emoji", root=tiny)
    task = get("tweeteval-emoji").task
    assert [e.label for e in splits["train"]] == ["sun", "red_heart"]
    assert [task.word(e.label) for e in splits["train"]] == ["☀", "❤"]
    assert len(task.labels) == 20
    # A line separator inside a tweet is no end of a line.
    assert splits["dev"][0].utterance.text == "quack\u2028quack"


def test_emotion(tiny):
    splits = load("tweeteval-emotion", root=tiny)
    labels = [e.label for split in ("train", "dev", "test") for e in splits[split]]
    assert labels == ["anger", "joy", "optimism", "sadness"]


def test_irony_and_offence(tiny):
    irony, offensive = load("tweeteval-irony", root=tiny), load("tweeteval-offensive", root=tiny)
    assert [e.label for e in irony["train"]] == ["ironic", "non-ironic"]
    assert [e.label for e in irony["test"]] == ["non-ironic"]
    assert [e.label for e in offensive["train"]] == ["offensive", "not-offensive"]
    # TweetEval counts the F1 of the ironic class.
    assert get("tweeteval-irony").metrics[:2] == ("binary_f1", "macro_f1")
    assert get("tweeteval-irony").task.labels[1] == "ironic"


def test_sentiment_without_its_train_text_has_no_train_split(root, tiny):
    splits = load("tweeteval-sentiment", root=tiny)
    assert splits["train"] == []
    assert [e.label for e in splits["dev"] + splits["test"]] == ["neutral", "negative", "positive"]
    (root / "tweeteval" / "sentiment" / "train_text.txt").write_text("a\nb\n")
    assert [e.label for e in load("tweeteval-sentiment", root=root)["train"]] == ["negative", "positive"]


def test_their_tasks_see_the_sentence_alone():
    for subset in ("hate", "emoji", "emotion", "irony", "offensive", "sentiment"):
        task = get(f"tweeteval-{subset}").task
        assert (task.level, task.context) == (1 if subset == "sentiment" else 4, False)
        assert task.instruction.startswith("Consider the semantic information of sentence to determine ")


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("train_text.txt", "ducks \n\n", "ducks \n", "train_text.txt: expected 3 lines as in train_labels"),
        ("train_labels.txt", "1", "2", "train_labels.txt line 2: expected one of 0, 1, found '2'"),
        ("mapping.txt", "not-hate", "hate", "mapping.txt line 1: expected one of 0 not-hate, 1 hate, found"),
        (
            "mapping.txt",
            "0\t",
            "",
            "mapping.txt line 1: expected one of 0 not-hate, 1 hate, found 'not-hate'",
        ),
    ],
)
def test_files_that_do_not_align_are_refused(root, spoil, name, old, new, said):
    spoil(f"tweeteval/hate/{name}", old, new)
    with pytest.raises(InputError, match=said):
        load("tweeteval-hate", root=root)
