"""TweetEval: tweets and their sentiment, emotion, emoji, hate, irony or offence; six datasets of one format.

Format: ``{train,val,test}_text.txt``, one tweet per line, and ``{train,val,test}_labels.txt``, the number of
its label on the same line; ``mapping.txt`` has the labels' names. Blank lines are tweets whose words have
been removed; they are kept, because the lines align.

The examples are single sentences; the owner's val is the dev split. Some copies of the sentiment dataset lack
train_text.txt: their train split is empty, which is enough for testing and for few-shot tuning.

Citation: Barbieri et al., TweetEval: Unified Benchmark and Comparative Evaluation for Tweet
Classification, Findings of EMNLP 2020.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gsa.data.task import HATE, IRONY, OFFENSE, SENTIMENT, Task
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

EMOJI = {
    "red_heart": "❤",
    "smiling_face_with_hearteyes": "😍",
    "face_with_tears_of_joy": "😂",
    "two_hearts": "💕",
    "fire": "🔥",
    "smiling_face_with_smiling_eyes": "😊",
    "smiling_face_with_sunglasses": "😎",
    "sparkles": "✨",
    "blue_heart": "💙",
    "face_blowing_a_kiss": "😘",
    "camera": "📷",
    "United_States": "🇺🇸",
    "sun": "☀",
    "purple_heart": "💜",
    "winking_face": "😉",
    "hundred_points": "💯",
    "beaming_face_with_smiling_eyes": "😁",
    "Christmas_tree": "🎄",
    "camera_with_flash": "📸",
    "winking_face_with_tongue": "😜",
}


def _task(name: str, question: str, *labels: str, words: dict[str, str] | None = None) -> Task:
    instruction = f"Consider the semantic information of sentence to determine {question}."
    return Task(name, 4, instruction, context=False).with_labels(*labels, words=words)


TASKS = {
    "hate": HATE,
    "emoji": _task("emoji", "the emoji that goes with it", *EMOJI, words=EMOJI),
    "emotion": _task("tweet-emotion", "the emotion of its author", "anger", "joy", "optimism", "sadness"),
    "sentiment": SENTIMENT,
    "irony": IRONY,
    "offensive": OFFENSE,
}
"""The task of each subset, its labels in the order of the owner's numbers."""
OWNER_NAMES = {"non_irony": "non-ironic", "irony": "ironic"}
"""Labels whose names differ from the owner's, by the owner's."""


def read(subset: str, folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits of a subset."""
    labels = _labels(folder / "mapping.txt", TASKS[subset].labels)
    return {
        split: parsing.build_examples(_turns(folder, name, labels), f"tweeteval-{subset}")
        for split, name in (("train", "train"), ("dev", "val"), ("test", "test"))
    }


def _labels(path: Path, expected: tuple[str, ...]) -> dict[str, str]:
    """Return the label of each number; raises InputError if the file numbers them otherwise."""
    labels = {}
    for location, line in parsing.read_lines(path):
        number, *names = line.rstrip("\t").split("\t")
        name = names[-1].strip("_ ") if names else ""
        name = OWNER_NAMES.get(name, name)
        if not number.isdecimal() or expected[int(number) : int(number) + 1] != (name,):
            names_of = ", ".join(f"{index} {label}" for index, label in enumerate(expected))
            raise InputError(f"{location}: expected one of {names_of}, found '{line}'")
        labels[number] = name
    return labels


def _turns(folder: Path, name: str, labels: dict[str, str]) -> Iterator[parsing.Turn]:
    texts, numbers = folder / f"{name}_text.txt", folder / f"{name}_labels.txt"
    if name == "train" and not texts.exists() and numbers.exists():
        return
    tweets, answers = parsing.read_lines(texts), parsing.read_lines(numbers)
    if len(tweets) != len(answers):
        raise InputError(f"{texts}: expected {len(answers)} lines as in {numbers.name}, found {len(tweets)}")
    for line, ((location, tweet), (at, number)) in enumerate(zip(tweets, answers, strict=True), start=1):
        label = parsing.lookup(number.strip(), labels, at)
        yield parsing.Turn(location, f"{name}_{line}", tweet, label=label)


# Commits whose files have the checksums below.
_COMMITS = {
    "hate": "8df207ad6fcdab017000ad5196f797cd21f9a30f",
    "emoji": "8df207ad6fcdab017000ad5196f797cd21f9a30f",
    "emotion": "8df207ad6fcdab017000ad5196f797cd21f9a30f",
    "irony": "8df207ad6fcdab017000ad5196f797cd21f9a30f",
    "offensive": "8df207ad6fcdab017000ad5196f797cd21f9a30f",
    "sentiment": "3eb5e91dd5070b5a5931df4e70cbab5978e3c50c",
}

SHA256 = {
    "hate": {
        "mapping.txt": "3fc75504ffae64ddc82e13afb5790af7798cd3167d7d35790abe78b39b991896",
        "train_text.txt": "6572bb3a42143128a5dfa99af8debeb0668e637c34b2d1e3140dac47316fe2c2",
        "train_labels.txt": "4e8fde025a453a25c94632794254131dedeac4e57228ad64157c41571cc88f71",
        "val_text.txt": "1ff78b1ed4c5ce43284b9eba32eb7d60c6d45d0d1b3b4d6df456ae01640764f1",
        "val_labels.txt": "5092badf1a0e70036ea6264bcd0b78afc07d0f4a512fa6af34c2c4973600656b",
        "test_text.txt": "bc4762876a8dd8baa55c3cd7b03108e3231a5d691e80b8b1ef97c5be31b9da9a",
        "test_labels.txt": "c14adca6b3627616a835c5ccea8a1cceb0235cd79417257f093eb0e16a69c62f",
    },
    "emoji": {
        "mapping.txt": "ac172bfbb0972d875a832224f48602472279be365454e3bce01084689100f4d3",
        "train_text.txt": "eacb6b0ee1fe2803d72a009c2e731fe07659f604318a979951d2f07c23c564a1",
        "train_labels.txt": "daee7da826683dbfa50ad3a29c60bc527e498f06c70eabee3745a99cc37ab3a5",
        "val_text.txt": "3bc3742d6af404cea792671878684d110f3bc02fd79a2e34643789a521d81a26",
        "val_labels.txt": "21ba456f688668d049ff0fb1fa04469ee684cf4e2467c71d2c3fe5ca2ba1bd1a",
        "test_text.txt": "e4de11de1597842c431dd67868e83322f5a432564dfd8558889ed8ac6a1a5e09",
        "test_labels.txt": "c1662b84788f36674ab8f0106f3e2e7d3e258ddf4959086ac7cc75b1e68dd1f6",
    },
    "emotion": {
        "mapping.txt": "656dea85d149716af96206ca19bec0d94e9dc6de3f5079f5c7c2a241ec76cadb",
        "train_text.txt": "2c62f67aeb3eac1aea0e5a9c3d0f4bc337992581f3f858061786a1fb4d79d95e",
        "train_labels.txt": "987e767d8679e18abdf7de37a6d2bcd0a40a296ddd704e8d515cf0e3033c8d9c",
        "val_text.txt": "e2e30c86b8cbb97944d6543aedc06eace3bb275cb2f381aba787b838b4f23ca5",
        "val_labels.txt": "313730630160b7e0a6b4235b800c76683f4aeeb72d094eb69646630cd5cfe338",
        "test_text.txt": "7e1070f5d3e3fcece5bc73680bff9981e90d8f7b2f1009bfe7a01d059d1c6091",
        "test_labels.txt": "245072348c711961785be6d395997f97cf7fcda3effeae7805664171dc75f913",
    },
    "irony": {
        "mapping.txt": "70e09046e181179b9870a2f59a3263bbb28c787831779e4ce4a18373d054296b",
        "train_text.txt": "a888125a44f7dfaa25b026318748d0e62cc9a300d20f66eafd62011a19eaea23",
        "train_labels.txt": "fc69e6106c0f1f433a91536e08f83c71a391d7b219f7684d42f243a8089af77d",
        "val_text.txt": "8806cf3793e300a485cfae34892fc3a0a2f9a183deb06c750c6531515c83051e",
        "val_labels.txt": "ccf429f63b4e8d0e7f425ca09445f7c31f7cea8a1b7c283b015b117c4002fd07",
        "test_text.txt": "53103da934a7308eee82f05f2a9781a8ea3e88604fdc1e02d3101108505c64be",
        "test_labels.txt": "08e2095e1725e74907a380614c220204e356bb46e3e8c93deb74e83e5b15ab38",
    },
    "offensive": {
        "mapping.txt": "3e427f483dd5d5be21ae85dcf224c36b3d024af27999939fa0d438d695801c50",
        "train_text.txt": "78a7a32e38b10af7d8970b008bf17f661c8d0a90dad145fa0fa6a944669650db",
        "train_labels.txt": "c0b7d6ebdaa4ebcf6fc557ef1e775d92eda160218a0e3b1dd48eb8234dc892a6",
        "val_text.txt": "816f36d180c35f15a5104838cb73856a0bef42043482fe738f3481b06242a55c",
        "val_labels.txt": "ed2deb776bd1c52fb8221fadd3360e32d9dfe46842d78053528126e46363a258",
        "test_text.txt": "25b08c3333c26190f1023961c4508ec9aab24d4722b1a3ea7a6040724c120547",
        "test_labels.txt": "41d05a7aa0b01f5dafab21b95adb4f979cb4226c046ff315702774d10dac1605",
    },
    "sentiment": {
        "mapping.txt": "c0572796fbe261d8ea5fd16c5061076fbba49bc69fc865d6abccaf60daacee24",
        "train_labels.txt": "122bfb1732fb6995b0e5c5f726c0ba457c469c3b6e60513007ce5037f23e65d4",
        "val_text.txt": "e5b021e6fc45064c260b09814b803d8f56cada519c4d952d72f43d48a350a964",
        "val_labels.txt": "b4566926c72e2e4e2916c864def94e76c4cdde52446af2c7ba4fc2006e057e51",
        "test_text.txt": "09a93a55c63fd93f97485ef7302889d7edb4091cd49733aa37da094f0bfa0675",
        "test_labels.txt": "6afb4afe9374d1f983bcf9a7c79b108d0f37fdf020a83f30488309bed215db9d",
    },
}


def _dataset(subset: str, metrics: tuple[str, ...]) -> Dataset:
    def url(name: str) -> str:
        return github("cardiffnlp/tweeteval", _COMMITS[subset], f"datasets/{subset}/{name}")

    files = [DataFile(name, sha256, url(name)) for name, sha256 in SHA256[subset].items()]
    if "train_text.txt" not in SHA256[subset]:
        # Without a known checksum the file is not downloaded; it is read if it is there.
        files.append(DataFile("train_text.txt", required=False))
    return Dataset(
        name=f"tweeteval-{subset}",
        title=f"TweetEval {subset} (tweets)",
        task=TASKS[subset],
        metrics=metrics,
        files=tuple(files),
        read=partial(read, subset),
        folder=f"tweeteval/{subset}",
        licence="without any restrictions",
        homepage="https://github.com/cardiffnlp/tweeteval",
        citation="Barbieri et al. 2020, TweetEval: Unified Benchmark and Comparative Evaluation for Tweet "
        "Classification, Findings of EMNLP",
    )


DATASETS = (
    _dataset("hate", ("macro_f1", "accuracy", "weighted_f1")),
    _dataset("emoji", ("macro_f1", "accuracy", "weighted_f1")),
    _dataset("emotion", ("macro_f1", "accuracy", "weighted_f1")),
    _dataset("irony", ("binary_f1", "macro_f1", "accuracy", "weighted_f1")),
    _dataset("offensive", ("macro_f1", "accuracy", "weighted_f1")),
    _dataset("sentiment", ("macro_recall", "accuracy", "macro_f1", "weighted_f1")),
)
