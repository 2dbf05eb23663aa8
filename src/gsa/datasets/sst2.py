"""SST-2: sentences of film reviews, from the Stanford Sentiment Treebank.

Format: ``{train,dev,test}.txt``, one parsed sentence per line in the Penn Treebank's brackets; the first
digit of a line, 0 to 4, is the sentiment of the sentence, the leaves are its words.

The examples are single sentences as a person would type them (see ``detokenize``). In the protocol ``binary``
0 and 1 are negative, 3 and 4 positive, and 2 is left out; ``three-class`` keeps it as neutral. ``phrases``
is ``binary`` with a larger train split: phrases of the training sentences too, which the treebank labels as
well. Its dev and test splits are those of ``binary``, and no phrase is a text of theirs.

Citation: Socher et al., Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank,
EMNLP 2013.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "sst2"
LABELS = {"0": "negative", "1": "negative", "2": "neutral", "3": "positive", "4": "positive"}
TREE = re.compile(r"\((\d) .*\)")
# Words hold no space but may hold a no-break space ("2 1/2"), so \s would cut them.
LEAF = re.compile(r"\(\d ([^() ]+)\)")
TREE_TOKENS = re.compile(r"\((\d) |([^() ]+)|\)")
MIN_WORDS = 4
"""Phrases of fewer words are not trained on."""

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
        sentences = {turn.text for split_turns in turns.values() for turn in split_turns}
        turns["train"] += _phrases(folder / "train.txt", sentences)
    return {
        split: parsing.build_examples(
            (turn for turn in split_turns if turn.label != "neutral" or protocol == "three-class"), NAME
        )
        for split, split_turns in turns.items()
    }


def _turns(path: Path, split: str) -> Iterator[parsing.Turn]:
    for number, (location, line) in enumerate(parsing.read_lines(path), start=1):
        tree = TREE.fullmatch(line.strip())
        words = LEAF.findall(line)
        if not tree or not words or line.count("(") != line.count(")"):
            raise InputError(f"{location}: expected a tree like '(3 (2 A) (3 treat))', found '{line[:60]}'")
        label = parsing.lookup(tree[1], LABELS, location)
        yield parsing.Turn(location, f"{split}_{number}", detokenize(words), label=label)


def _phrases(path: Path, excluded: set[str]) -> Iterator[parsing.Turn]:
    """Yield the phrases that have a sentiment, each text once and none that is excluded."""
    seen = set(excluded)
    for number, (location, line) in enumerate(parsing.read_lines(path), start=1):
        try:
            phrases = list(constituents(line.strip()))
        except IndexError:
            raise InputError(f"{location}: expected a digit in every bracket, found '{line[:60]}'") from None
        for index, (digit, words) in enumerate(phrases):
            label, text = parsing.lookup(digit, LABELS, location), detokenize(words)
            if label != "neutral" and len(words) >= MIN_WORDS and text not in seen:
                seen.add(text)
                yield parsing.Turn(location, f"train_{number}_{index}", text, label=label)


def constituents(tree: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the digit and the words of every constituent of a tree, in postorder.

    Raises IndexError for a tree with a bracket that lacks its digit.
    """
    stack: list[tuple[str, list[str]]] = []
    for token in TREE_TOKENS.finditer(tree):
        if token[1]:
            stack.append((token[1], []))
        elif token[2]:
            stack[-1][1].append(token[2])
        else:
            digit, words = stack.pop()
            yield digit, words
            if stack:
                stack[-1][1].extend(words)


def detokenize(words: list[str]) -> str:
    """Return a sentence as a person would type it, from the words of a Penn Treebank tree.

    Escapes are replaced, and there is no space before a closing mark or a contraction nor after an opening
    mark. Quotation marks are directed for that, and straight in the result.
    """
    plain = [ESCAPES.get(word, word.replace("\\/", "/").replace("\\*", "*")) for word in words]
    sentence = CLOSING.sub(r"\1", OPENING.sub(r"\1", " ".join(plain)))
    return sentence.translate(str.maketrans("“”‘", '""\''))


# Only the short form of the commit is known; the checksums identify the files.
_COMMIT = "12bb731"


def _file(split: str, sha256: str, first_lines: int = 0) -> DataFile:
    url = github("munikarmanish/RNTN", _COMMIT, f"trees/{split}.txt")
    return DataFile(f"{split}.txt", sha256, url, first_lines)


DATASET = Dataset(
    name=NAME,
    title="SST-2 (film reviews)",
    task=SENTIMENT.with_labels("negative", "positive"),
    tasks={"three-class": SENTIMENT},
    protocols=("binary", "three-class", "phrases"),
    train_protocols=("phrases",),
    # The paper's accuracy weighted by class support equals plain accuracy.
    metrics=("accuracy", "weighted_f1", "macro_f1"),
    files=(
        # The train file of this copy has other trees after the official 8,544.
        _file("train", "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7", 8544),
        _file("dev", "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
        _file("test", "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"),
    ),
    read=read,
    folder="sst2",
    licence="none stated",
    homepage="https://nlp.stanford.edu/sentiment/",
    citation="Socher et al. 2013, Recursive Deep Models for Semantic Compositionality Over a Sentiment "
    "Treebank, EMNLP",
)
