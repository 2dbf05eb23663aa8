"""Numbers of tables 1 and 3 to 5 of the paper (Hou, Shen, Lu: Progressive Tuning); nothing measured here.

Sizes are those that the paper states. Percent, unless stated otherwise.
"""

from dataclasses import dataclass

BENCHMARK = ("sst2", "mosi", "mosei", "iemocap", "meld", "emorynlp", "mustard", "mustardpp")
"""The eight datasets in the order of table 3, by their names in the catalogue."""
FEW_SHOT = ("tweeteval-hate", "tweeteval-emoji", "tweeteval-emotion", "tweeteval-sentiment")

TABLE_1 = {
    "sst2": (10, "11k"),
    "mosi": (12, "2k"),
    "mosei": (20, "20k"),
    "iemocap": (12, "7k"),
    "meld": (8, "13k"),
    "emorynlp": (10, "12k"),
    "mustard": (14, "0.7k"),
    "mustardpp": (15, "1.2k"),
}
"""Average length and total size."""


@dataclass(frozen=True)
class Published:
    """A row of one of the paper's tables."""

    group: str
    system: str
    size: str
    """Empty where the paper does not state it."""
    scores: dict[str, float]
    """By dataset."""
    multimodal: bool = False
    """Whether it uses sound or pictures besides text."""


UNIFIED, SINGLE, OURS = "unified", "best for one dataset", "the paper's"
_UNISA = dict(zip(BENCHMARK, (90.71, 84.11, 84.93, 64.46, 62.22, 34.95), strict=False))
_UNIMSE = {"mosi": 85.85, "mosei": 85.86}
_GSA = dict(zip(BENCHMARK, (96.04, 85.46, 85.58, 71.78, 67.35, 42.01, 74.75, 73.63), strict=True))

TABLE_3 = (
    Published(UNIFIED, "KEA", "", {"sst2": 93.68, "mustardpp": 58.28}),
    Published(UNIFIED, "RobertaEmo", "", {"sst2": 94.54, "mustardpp": 61.40}),
    Published(UNIFIED, "TLearn", "", {"sst2": 93.74, "mustardpp": 57.34}),
    Published(UNIFIED, "Quiet", "", {"meld": 41.88, "mustard": 72.13}),
    Published(UNIFIED, "UniMSE", "", {**_UNIMSE, "iemocap": 70.66, "meld": 65.51}, multimodal=True),
    Published(UNIFIED, "UniSA", "", _UNISA, multimodal=True),
    Published(SINGLE, "T5-11B", "11B", {"sst2": 97.50}),
    Published(SINGLE, "UniMSE", "", _UNIMSE, multimodal=True),
    Published(SINGLE, "InstructERC", "", {"iemocap": 71.39, "meld": 69.15, "emorynlp": 41.37}),
    Published(SINGLE, "MIL", "", {"mustard": 72.64}, multimodal=True),
    Published(SINGLE, "Gaze", "", {"mustardpp": 72.20}),
    Published(OURS, "GSA-7B", "7B", _GSA),
)

TABLE_4 = (
    Published("individual domain", "ERC only", "7B", {"iemocap": 68.63, "meld": 67.55, "emorynlp": 40.04}),
    Published("strategy", "multi-task", "7B", {"iemocap": 70.45, "meld": 66.71, "emorynlp": 41.16}),
    Published("strategy", "progressive", "7B", {"iemocap": 71.78, "meld": 67.35, "emorynlp": 42.01}),
)
"""One number each, without seeds."""


def _few_shot(system: str, size: str, *scores: float) -> Published:
    return Published("few-shot", system, size, dict(zip(FEW_SHOT, scores, strict=True)))


TABLE_5 = (
    _few_shot("best, on all training data", "", 65.10, 32.20, 76.10, 72.07),
    _few_shot("T5", "", 47.94, 7.58, 59.56, 66.13),
    _few_shot("UniSA", "", 49.61, 14.82, 65.98, 64.17),
    _few_shot("GSA-7B", "7B", 57.65, 20.10, 68.82, 68.03),
)
TABLE_5_RATIO = dict(zip(FEW_SHOT, (0.03, 0.07, 0.18, 0.01), strict=True))
"""Few-shot examples over training examples."""


def margins() -> dict[str, float]:
    """Return GSA-7B minus the best unified system on each dataset, as the arrows of table 3 say."""
    (gsa_7b,) = (row for row in TABLE_3 if row.group == OURS)
    best = {
        name: max(row.scores[name] for row in TABLE_3 if row.group == UNIFIED and name in row.scores)
        for name in BENCHMARK
    }
    return {name: round(gsa_7b.scores[name] - best[name], 2) for name in BENCHMARK}
