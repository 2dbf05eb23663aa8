import json

import pytest

from gsa.datasets import emorynlp
from gsa.datasets.catalogue import load
from gsa.errors import InputError


def owners(rows):
    """Return the owner's JSON of (scene, utterance, speakers, text, emotion) rows."""
    scenes = {}
    for scene, id, speakers, text, emotion in rows:
        utterance = {"utterance_id": id, "speakers": speakers, "transcript": text, "emotion": emotion}
        scenes.setdefault(scene, []).append(utterance)
    found = [{"scene_id": id, "utterances": utterances} for id, utterances in scenes.items()]
    return json.dumps({"season_id": "x", "episodes": [{"episode_id": "s01_e01", "scenes": found}]})


@pytest.fixture
def with_json(root):
    rows = [
        ("s01_e01_c01", "s01_e01_c01_u001", ["Ada Moor", "Ben Quay"], "Aground!", "Scared"),
        ("s01_e01_c01", "s01_e01_c01_u004", [], "Splash.", "Neutral"),
    ]
    for name in emorynlp.JSON.values():
        (root / "emorynlp" / name).write_text(owners(rows))
    return root


def test_csv(tiny):
    splits = load("emorynlp", root=tiny)
    assert [(e.id, e.label) for e in splits["train"]] == [
        ("s01_e01_c01_u001", "scared"),
        ("s01_e01_c01_u002", "powerful"),
        ("s01_e01_c02_u001", "peaceful"),
    ]
    assert splits["train"][0].dialogue is splits["train"][1].dialogue
    assert splits["train"][0].utterance.line() == "Ada Moor: The boat is leaking."
    assert [e.label for e in splits["dev"]] == ["mad", "neutral"]
    assert [(e.utterance.speaker, e.label) for e in splits["test"]] == [("Ben Quay", "joyful"), ("", "sad")]


def test_the_owners_files_come_first_and_join_speakers(with_json):
    splits = load("emorynlp", root=with_json)
    for found in splits.values():
        assert [(e.id, e.utterance.speaker, e.utterance.text, e.label) for e in found] == [
            ("s01_e01_c01_u001", "Ada Moor & Ben Quay", "Aground!", "scared"),
            ("s01_e01_c01_u004", "", "Splash.", "neutral"),
        ]


def test_the_owners_files_are_enough(with_json):
    for name in emorynlp.CSV.values():
        (with_json / "emorynlp" / name).unlink()
    assert len(load("emorynlp", root=with_json)["test"]) == 2


def test_without_the_owners_train_file_all_splits_are_csv(with_json, tiny):
    (with_json / "emorynlp" / "emotion-detection-trn.json").unlink()
    assert load("emorynlp", root=with_json) == load("emorynlp", root=tiny)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"Scared"', '"Afraid"', "utterance s01_e01_c01_u001: expected one of Neutral.*found 'Afraid'"),
        ('"Scared"', "null", "u001 key 'emotion': expected a text, found null"),
        ('"Ben Quay"', "7", "u001 key 'speakers': expected a text, found 7"),
        ('"transcript"', '"text"', "u001: expected a key 'transcript', found utterance_id"),
        ('"utterances"', '"turns"', "scene s01_e01_c01: expected a key 'utterances'"),
        ("u004", "u001", "expected a unique id, found 's01_e01_c01_u001'"),
        ('{"season_id"', '[], {"season_id"', "expected JSON, found an error"),
    ],
)
def test_json_of_another_shape_is_refused(with_json, spoil, old, new, said):
    spoil("emorynlp/emotion-detection-trn.json", old, new)
    with pytest.raises(InputError, match=said):
        load("emorynlp", root=with_json)


def test_an_unknown_emotion_in_csv_is_refused(root, spoil):
    spoil("emorynlp/dev.csv", "Mad", "Cross")
    with pytest.raises(InputError, match=r"dev.csv line 2: expected one of Neutral.*found 'Cross'"):
        load("emorynlp", root=root)
