import pytest

from gsa.datasets.catalogue import get, load
from gsa.errors import InputError


def test_aspects_of_one_sentence_share_it_as_a_person_would_type_it(tiny):
    splits = load("semeval2014-restaurants", root=tiny)
    test = splits["test"]
    assert [(e.id, e.aspect, e.label) for e in test] == [
        ("test_1", "lentil soup", "positive"),
        ("test_2", "napkins", "negative"),
        ("test_3", "door", "neutral"),
    ]
    assert test[0].utterance.text == 'The lentil soup was "great", the napkins weren\'t (paper).'
    assert test[0].dialogue is test[1].dialogue
    assert test[2].dialogue.id == "test_3"
    assert load("semeval2014-laptops", root=tiny)["test"][0].aspect == "owner's manual"


@pytest.mark.parametrize("domain", ["restaurants", "laptops"])
def test_there_is_nothing_to_train_on_unless_it_is_asked_for(tiny, domain):
    name = f"semeval2014-{domain}"
    splits = load(name, root=tiny)
    assert (splits["train"], splits["dev"]) == ([], [])
    assert [e.label for e in load(name, "supervised", root=tiny)["train"]] == ["negative"]
    assert "research" in get(name).licence


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("$T$", "soup", "line 1: expected a sentence with one '[$]T[$]' and its aspect, found 'The soup was"),
        ("lentil soup\n1", "\n1", "line 1: expected a sentence with one '[$]T[$]' and its aspect, found"),
        ("\n1\n", "\n2\n", "line 3: expected one of -1, 0, 1, found '2'"),
        ("door\n0\n", "door\n", "expected three lines per aspect, found 8 lines in all"),
    ],
)
def test_bad_files_are_refused(root, spoil, old, new, message):
    spoil("semeval2014/Restaurants_Test_Gold.xml.seg", old, new)
    with pytest.raises(InputError, match=message):
        load("semeval2014-restaurants", root=root)
