"""SST-2: sentences of film reviews, from the Stanford Sentiment Treebank.

Format: ``{train,dev,test}.txt``, one parsed sentence a line in the Penn Treebank's brackets; the first
digit of a line, 0 to 4, is the sentiment of the whole sentence, the leaves are its words.

Out come lone sentences as a person would type them (see ``readable``). The protocol ``binary`` has
0 and 1 as negative, 3 and 4 as positive, and leaves 2 out; ``with-neutral`` keeps it as neutral.
``phrases`` is ``binary`` with more to train on: phrases of the training sentences too, which the treebank
labels as well. Dev and test are those of ``binary``, and no phrase is a text of theirs.

Citation: Socher et al., Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank,
EMNLP 2013.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets import parsing as reading
from gsa.datasets.dataset import Dataset, Source, Splits, github
from gsa.errors import InputError

NAME = "sst2"
LABELS = {"0": "negative", "1": "negative", "2": "neutral", "3": "positive", "4": "positive"}
TREE = re.compile(r"\((\d) .*\)")
# Words hold no space but may hold a no-break space ("2 1/2"), so \s would cut them.
LEAF = re.compile(r"\(\d ([^() ]+)\)")
PARTS = re.compile(r"\((\d) |([^() ]+)|\)")
SHORTEST = 4
"""Words of the shortest phrase that is trained on."""

ESCAPES = {
    "-LRB-": "(",
    "-RRB-": ")",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
    "``": "“",
    "''": "”",
    "`": "‘",
}
OPENING = re.compile(r"([(\[{“‘$]) ")
CLOSING = re.compile(r" (\.\.\.|[.,:;?!%)\]}”]|n't\b|'(?:s|re|ll|ve|d|m)\b|'(?= |$))", re.IGNORECASE)


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    turns = {split: list(_turns(folder / f"{split}.txt", split)) for split in ("train", "dev", "test")}
    if protocol == "phrases":
        known = {turn.text for found in turns.values() for turn in found}
        turns["train"] += _phrases(folder / "train.txt", known)
    if protocol != "with-neutral":
        turns = {name: [turn for turn in found if turn.label != "neutral"] for name, found in turns.items()}
    return {split: reading.examples(found, NAME) for split, found in turns.items()}


def _turns(path: Path, split: str) -> Iterator[reading.Turn]:
    for number, (where, line) in enumerate(reading.lines(path), start=1):
        tree = TREE.fullmatch(line.strip())
        words = LEAF.findall(line)
        if not tree or not words or line.count("(") != line.count(")"):
            raise InputError(f"{where}: expected a tree like '(3 (2 A) (3 treat))', found '{line[:60]}'")
        label = reading.choose(tree[1], LABELS, where)
        yield reading.Turn(where, f"{split}_{number}", readable(words), label=label)


def _phrases(path: Path, known: set[str]) -> Iterator[reading.Turn]:
    """Yield the phrases that have a sentiment, each text once and none that is `known`."""
    seen = set(known)
    for number, (where, line) in enumerate(reading.lines(path), start=1):
        try:
            parts = list(constituents(line.strip()))
        except IndexError:
            raise InputError(f"{where}: expected a digit in every bracket, found '{line[:60]}'") from None
        for place, (digit, words) in enumerate(parts):
            label, text = reading.choose(digit, LABELS, where), readable(words)
            if label != "neutral" and len(words) >= SHORTEST and text not in seen:
                seen.add(text)
                yield reading.Turn(where, f"train_{number}_{place}", text, label=label)


def constituents(tree: str) -> Iterator[tuple[str, list[str]]]:
    """Yield digit and words of every part of a tree, a part before the one that holds it."""
    above: list[tuple[str, list[str]]] = []
    for part in PARTS.finditer(tree):
        if part[1]:
            above.append((part[1], []))
        elif part[2]:
            above[-1][1].append(part[2])
        else:
            digit, words = above.pop()
            yield digit, words
            if above:
                above[-1][1].extend(words)


def readable(words: list[str]) -> str:
    """Return a sentence as a person would type it, from the words of a Penn Treebank tree.

    Escapes become what they stand for, and no space is left before a closing mark or a contraction
    nor after an opening one. Quotation marks become plain ones once their side has been used.
    """
    plain = [ESCAPES.get(word, word.replace("\\/", "/").replace("\\*", "*")) for word in words]
    sentence = CLOSING.sub(r"\1", OPENING.sub(r"\1", " ".join(plain)))
    return sentence.translate(str.maketrans("“”‘", '""\''))


# The short form of the commit is all that is known of it; the checksums decide.
_COMMIT = "12bb731"


def _source(split: str, sha256: str, first_lines: int = 0) -> Source:
    url = github("munikarmanish/RNTN", _COMMIT, f"trees/{split}.txt")
    return Source(f"{split}.txt", sha256, url, first_lines)


DATASET = Dataset(
    name=NAME,
    title="SST-2 (film reviews)",
    task=SENTIMENT.with_labels("negative", "positive"),
    tasks={"with-neutral": SENTIMENT},
    protocols=("binary", "with-neutral", "phrases"),
    # Accuracy weighted by the classes' support, as the paper has it, is accuracy.
    metrics=("accuracy", "weighted_f1", "macro_f1"),
    files=("train.txt", "dev.txt", "test.txt"),
    read=read,
    folder="sst2",
    licence="none stated",
    homepage="https://nlp.stanford.edu/sentiment/",
    citation="Socher et al. 2013, Recursive Deep Models for Semantic Compositionality Over a Sentiment "
    "Treebank, EMNLP",
    sources=(
        # This copy's train file goes on with other trees after the official 8,544.
        _source("train", "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7", 8544),
        _source("dev", "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
        _source("test", "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"),
    ),
)
