"""Robustness texts: sentences and short dialogues made of templates, for what benchmarks do not teach.

Kinds: neutral facts and requests, negation and negated expectation, contrast, changed opinions, emoji alone
and beside text, plain turns that are not sarcastic, and all of them in capitals, with other punctuation,
with greetings and sign-offs, with speakers' names exchanged or absent. `implied` has opinions without a word
of praise or blame and idioms, `plain` opinions, feelings and facts that are not sarcastic.

Format: ``words.toml``, what slots are filled with; ``NAME.toml``, the templates of a dataset. They come with
this package, written for it.

Out come the same examples at every call. No template is in two splits.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from gsa.data.augmentation import MAIL, NAMES, WRITING
from gsa.data.task import TASKS
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets.dataset import DataFile, Dataset, Splits

FOLDER = Path(str(files("gsa.datasets"))) / "robustness"
SIZES: Mapping[str, tuple[int, int]] = {
    "sentiment": (3000, 300),
    "emotion": (1000, 100),
    "sarcasm": (1200, 120),
    "implied": (2400, 240),
    "plain": (2000, 200),
}
"""Examples of the train split of each dataset, and of dev and test each."""
TASK_OF = {"implied": "sentiment", "plain": "sarcasm"}
"""The task of a dataset that has another name than its task."""
PLAIN_SHARE = 0.5
"""Share of the texts that are left as the template writes them."""
MAIL_SHARE = 0.35
"""Share of greetings and sign-offs among the varied lone sentences."""
NAMED_SHARE = 0.6
"""Share of the dialogues whose turns have speakers."""
SLOT = re.compile(r"\{(\w+)\}")
BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeio]|u(?!s|ni))")
TRIES = 50
"""Draws of one group in a row without a new text, after which it is taken to be exhausted."""

Words = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Group:
    """Templates of one kind and label. ``{slot}`` is one of the words of that name; `` // `` parts turns."""

    kind: str
    label: str
    weight: int
    """Its share of the examples, relative to the other groups'."""
    train: Sequence[str]
    held: Sequence[str]
    """Templates that are not trained on: dev and test take turns among them."""
    decorate: bool = True
    """Whether its texts may be varied in case and punctuation, and be put into a mail."""

    def templates(self, split: str) -> Sequence[str]:
        """Return the templates of a split."""
        return {"train": self.train, "dev": self.held[::2], "test": self.held[1::2]}[split]


def read(name: str, folder: Path, protocol: str, fold: int) -> Splits:
    """Return the splits of a dataset's texts, with seed 0."""
    return generate(name, 0, folder)


def generate(name: str, seed: int, folder: Path = FOLDER) -> Splits:
    """Return the splits of a dataset's texts for a seed; all texts of a dataset are distinct."""
    words = {**_toml(folder / "words.toml"), "name": NAMES}
    groups = [Group(**group) for group in _toml(folder / f"{name}.toml")["group"]]
    train, held = SIZES[name]
    seen: set[tuple[Utterance, ...]] = set()
    splits: Splits = {}
    for split, size in (("train", train), ("dev", held), ("test", held)):
        rng = Random(f"{seed}/{name}/{split}")
        labelled = _labelled_turns(groups, split, size, words, rng, seen)
        splits[split] = [
            Example(id, f"robustness-{name}", Dialogue(id, turns), len(turns) - 1, label)
            for id, (turns, label) in ((f"{split}-{i:04}", item) for i, item in enumerate(labelled, start=1))
        ]
    return splits


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _labelled_turns(
    groups: Sequence[Group],
    split: str,
    size: int,
    words: Words,
    rng: Random,
    seen: set[tuple[Utterance, ...]],
) -> Iterator[tuple[tuple[Utterance, ...], str]]:
    """Yield about `size` conversations with their labels, by the groups' weights; `seen` grows."""
    total = sum(group.weight for group in groups)
    for group in groups:
        wanted, tries = round(size * group.weight / total), 0
        while wanted and tries < TRIES:
            tries += 1
            turns = _turns(rng.choice(group.templates(split)), words, rng, group.decorate)
            if turns not in seen:
                seen.add(turns)
                yield turns, group.label
                wanted, tries = wanted - 1, 0


def _turns(template: str, words: Words, rng: Random, decorate: bool) -> tuple[Utterance, ...]:
    """Return the turns of a template with its slots filled, written plainly or varied, named or not."""
    texts = [fill(turn, words, rng) for turn in template.split(" // ")]
    if decorate and rng.random() >= PLAIN_SHARE:
        mail = len(texts) == 1 and rng.random() < MAIL_SHARE
        variant = rng.choice(MAIL if mail else WRITING)
        texts = [variant(text, rng) for text in texts]
    if len(texts) == 1 or rng.random() >= NAMED_SHARE:
        return tuple(Utterance(text) for text in texts)
    speakers = rng.sample(NAMES, 2)
    return tuple(Utterance(text, speakers[i % 2]) for i, text in enumerate(texts))


def fill(template: str, words: Words, rng: Random) -> str:
    """Return a template with each ``{slot}`` filled by one of its words, with a capital for ``{Slot}``.

    No slot gets the same word twice within a template; the text begins with a capital unless the template
    begins with a small letter.
    """
    used: set[str] = set()

    def word(match: re.Match[str]) -> str:
        name = match[1]
        choice = rng.choice([w for w in words[name.lower()] if w not in used])
        used.add(choice)
        return choice[0].upper() + choice[1:] if name[0].isupper() else choice

    text = BEFORE_VOWEL.sub(r"\1n ", SLOT.sub(word, template))
    return text[0].upper() + text[1:] if template.startswith("{") else text


def _dataset(name: str) -> Dataset:
    task = TASKS[TASK_OF.get(name, name)]
    return Dataset(
        name=f"robustness-{name}",
        title=f"Robustness texts: {name} (by template)",
        task=task,
        metrics=("weighted_f1", "accuracy", "macro_f1"),
        files=(DataFile("words.toml"), DataFile(f"{name}.toml")),
        read=partial(read, name),
        folder="robustness",
        package_folder=FOLDER,
        licence="that of this package",
        homepage="",
        citation="",
    )


DATASETS = tuple(_dataset(name) for name in SIZES)
