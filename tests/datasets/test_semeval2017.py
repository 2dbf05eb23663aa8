import pytest

from gsa.datasets import semeval2017
from gsa.datasets.catalogue import get, load
from gsa.errors import InputError


def test_train_is_decoded_masked_and_without_repetitions(tiny):
    splits = load("semeval2017", root=tiny)
    assert [(e.id, e.label, e.utterance.text) for e in splits["train"]] == [
        ("101", "positive", "The pond’s open, at last @user!"),
        ("102", "neutral", 'Ben said "ducks, two of them" at noon'),
        ("104", "neutral", "Don’t feed & run"),
        ("105", "neutral", "A line, with commas"),
        ("107", "positive", "The same words under another id, from @user"),
        ("110", "neutral", "@user Which pond?"),
        ("111", "neutral", "@user Is the boat in?"),
        ("112", "positive", "Write to ada@pond.example, it works"),
        ("113", "negative", "No boats <3 today?"),
        ("114", "negative", "Ends with half a quotation"),
    ]


def test_dev_and_test_are_those_of_tweeteval_decoded(tiny):
    splits, tweets = load("semeval2017", root=tiny), load("tweeteval-sentiment", root=tiny)
    for split in ("dev", "test"):
        assert [(e.id, e.label) for e in splits[split]] == [(e.id, e.label) for e in tweets[split]]
        assert {e.dataset for e in splits[split]} == {"semeval2017"}
    assert splits["test"][1].utterance.text == "a good duck & a swan"


@pytest.mark.parametrize("split", ["val", "test"])
def test_texts_of_dev_and_test_are_left_out_whatever_their_names_and_links(root, split):
    path = root / "tweeteval" / "sentiment" / f"{split}_text.txt"
    _, _, rest = path.read_text().partition("\n")
    path.write_text("@user is  the BOAT in \n" + rest)
    train = load("semeval2017", root=root)["train"]
    assert "111" not in {e.id for e in train}
    assert len(train) == 9


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        (r"it\u2019s \u002c fine", "it’s , fine"),
        ("a &lt;3 &amp; b", "a <3 & b"),
        ('twice &amp;lt;3 &quot;"said"', 'twice <3 "said"'),
        ('"quoted, once"', "quoted, once"),
        ('"he said ""no"" twice"', 'he said "no" twice'),
        (r'"he said \""""no\"""" twice"', 'he said "no" twice'),
        (r'say \"""\""yes\""" now', 'say "yes" now'),
        ("thrice &amp;amp;amp; more", "thrice & more"),
        ('lost its beginning"', "lost its beginning"),
        ('"lost its end', "lost its end"),
        ('a "word" inside', 'a "word" inside'),
    ],
)
def test_decode(text, decoded):
    assert semeval2017.decode(text) == decoded


def test_mask():
    assert semeval2017.mask("RT @Ada_1: look (@ben) http://t.co/a5 b@c.example") == (
        "RT @user: look (@user) b@c.example"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tpositive\t", "\t", "line 1: expected id, label and text between tabs, found 2"),
        ("positive", "good", "train-A.tsv line 1: expected one of negative, neutral, positive, found"),
    ],
)
def test_bad_rows_are_refused(root, spoil, old, new, message):
    spoil("semeval2017/twitter-2013train-A.tsv", old, new)
    with pytest.raises(InputError, match=message):
        load("semeval2017", root=root)


def test_its_task_and_main_metric():
    dataset = get("semeval2017")
    assert dataset.task.labels == ("negative", "neutral", "positive")
    assert dataset.metrics[0] == "macro_recall"
    assert dataset.requires == ("tweeteval-sentiment",)
