r"""SemEval-2017 task 4 A: tweets of 2013 to 2016 and their sentiment, to be tested on the tweets of 2017.

Format: eleven ``twitter-{year}{part}-A.tsv`` without a header: id, label, text; 2016's test has a fourth
column, empty or a date. Three files write some characters as literal escapes (``\u2019``, ``\u002c``). Many
texts are quoted as in CSV, with doubled quotation marks inside, some of them at one end only. HTML entities
are not decoded. Some tweets are listed twice, in two files or under two ids, some with two labels.

The examples are single sentences. Dev and test are val and test of TweetEval's ``sentiment`` (2,000 and
12,284 tweets), whose files are read too. Nearly all tweets of that val are in the eleven files, so the texts
of dev and test are excluded from train. A tweet listed with two labels is excluded, any other is kept once.
Training texts have names and links as TweetEval has them: ``@user`` for every name, and no links.

Citation: Rosenthal, Farra and Nakov, SemEval-2017 Task 4: Sentiment Analysis in Twitter, SemEval 2017.
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.data.types import Example, sentence
from gsa.datasets import parsing, tweeteval
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "semeval2017"
LABELS = {label: label for label in SENTIMENT.labels}
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
QUOTE = re.compile(r'(?:\\?")+')
MENTION = re.compile(r"(?<!\w)@\w+")
LINK = re.compile(r"https?\S*")


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    tweets = tweeteval.read("sentiment", folder.parent / "tweeteval" / "sentiment", "", 0)
    held_out = {split: [_decoded(example) for example in tweets[split]] for split in ("dev", "test")}
    known = {characters(example.utterance.text) for examples in held_out.values() for example in examples}
    turns = (turn for name in SHA256 for turn in _turns(folder / name))
    train = [turn._replace(text=mask(turn.text)) for turn in distinct(turns, known)]
    return {"train": parsing.build_examples(train, NAME), **held_out}


def _decoded(example: Example) -> Example:
    return sentence(decode(example.utterance.text), example.id, NAME, example.label)


def _turns(path: Path) -> Iterator[parsing.Turn]:
    for location, line in parsing.read_lines(path):
        fields = line.split("\t")
        if len(fields) not in (3, 4):
            raise InputError(
                f"{location}: expected id, label and text between tabs, found {len(fields)} fields"
            )
        label = parsing.lookup(fields[1], LABELS, location)
        yield parsing.Turn(location, fields[0], decode(fields[2]), label=label)


def decode(text: str) -> str:
    r"""Return a text without ``\u`` escapes, CSV quotation and HTML entities."""
    text = ESCAPE.sub(lambda match: chr(int(match[1], 16)), parsing.unquoted(text.strip()))
    while (unescaped := html.unescape(text)) != text:  # some entities are escaped several times
        text = unescaped
    text = QUOTE.sub('"', text)
    if text.count('"') % 2:  # the quotation lost its other end
        text = text.removesuffix('"') if text.endswith('"') else text.removeprefix('"')
    return text


def mask(text: str) -> str:
    """Return a text with every name as ``@user`` and without links."""
    return " ".join(MENTION.sub("@user", LINK.sub("", text)).split())


def characters(text: str) -> str:
    """Return the letters and digits of a text without names and links, to compare texts by."""
    return "".join(re.findall(r"\w", re.sub(r"@\S*", "", LINK.sub("", text)).casefold()))


def distinct(turns: Iterable[parsing.Turn], known: Set[str]) -> Iterator[parsing.Turn]:
    """Yield each tweet once, by id and by text, and none that has two labels or is a `known` text."""
    every = [(turn, characters(turn.text)) for turn in turns]
    labels: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for turn, text in every:
        labels["id", turn.id].add(turn.label)
        labels["text", text].add(turn.label)
    seen: set[tuple[str, str]] = set()
    for turn, text in every:
        keys = {("id", turn.id), ("text", text)}
        if text not in known and not keys & seen and all(len(labels[key]) == 1 for key in keys):
            seen |= keys
            yield turn


_COMMIT = "faeee5fd1c2cf38e32179a4676dff53ae01adfa8"

SHA256 = {
    "twitter-2013train-A.tsv": "111969d156c516b40bd504fcedcca52bbd44ec24add6f59290eb94df9b9c392c",
    "twitter-2013dev-A.tsv": "e402ab2e9bad766275ef5af490e2c3b0edca8236d60e6e69227589186bffd896",
    "twitter-2013test-A.tsv": "eb98d2342016eefda22dd563aa1ccde18aed399eeba572d8c963bbc56c196164",
    "twitter-2014sarcasm-A.tsv": "8321459374f88fc32b0b93da76c8740e7a3f30256886dbe9fcebb04b0ae8906f",
    "twitter-2014test-A.tsv": "d6aa09ca41031e3deefb7e5b2f74f53260ab374f993e2275d8e4ccec6b210253",
    "twitter-2015train-A.tsv": "29780e613f562a511fa427196503c3f95fea6c0298470e157deab88a0e0ed65e",
    "twitter-2015test-A.tsv": "54b3481924c025d31ac9669c049603b91035b40e8becd6629fb9476a6d9a62f4",
    "twitter-2016train-A.tsv": "f49f65cf5e94b47d077ab7715d3d0a656c09b5c71608678a672d7378ef79c932",
    "twitter-2016dev-A.tsv": "47bda81cb91db2bf92222a5f20742b5e3edc14eb391e74b882b284e5afd0c8bb",
    "twitter-2016devtest-A.tsv": "c16686ebaa3b61770f4d4d2a60d051715146950faa93e039bb0aefb3523c3b38",
    "twitter-2016test-A.tsv": "c90ee3e9cca3c4b019cc45169190c0bcc1c9e2eda938527e31d12040798dc453",
}


def _file(name: str, sha256: str) -> DataFile:
    path = f"dataset/Subtask_A/downloaded/{name}"
    return DataFile(name, sha256, github("cbaziotis/datastories-semeval2017-task4", _COMMIT, path))


DATASET = Dataset(
    name=NAME,
    title="SemEval-2017 task 4 A (tweets)",
    task=SENTIMENT,
    metrics=("macro_recall", "accuracy", "macro_f1", "weighted_f1"),
    files=tuple(_file(name, sha256) for name, sha256 in SHA256.items()),
    read=read,
    folder="semeval2017",
    licence="none stated; given by the task for research",
    homepage="https://alt.qcri.org/semeval2017/task4/",
    citation="Rosenthal, Farra and Nakov 2017, SemEval-2017 Task 4: Sentiment Analysis in Twitter, SemEval",
    requires=("tweeteval-sentiment",),
)
