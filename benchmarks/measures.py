"""What is measured, on what, and who takes part: data, no code."""

from dataclasses import dataclass, field, replace
from typing import Any

GO_EMOTIONS = tuple(
    word
    for line in (
        "neutral joy surprise anger sadness disgust fear admiration amusement annoyance approval caring",
        "confusion curiosity desire disappointment disapproval embarrassment excitement gratitude grief",
        "love nervousness optimism pride realization relief remorse",
    )
    for word in line.split(" ")
)
"""28 labels, those of MELD among them."""


@dataclass(frozen=True)
class Contestant:
    """One way to do a measure's work."""

    name: str
    script: str
    """Below benchmarks/."""
    layout: str = "paper"
    arguments: tuple[str, ...] = ()
    environment: str = ""
    """It runs in `.venv-bench-NAME`; in the driver's own environment if empty."""
    calibrated: bool = False
    """Whether its batch size is found first, on a few examples."""
    row_tokens: int = 1024
    """Tokens of gsa's rows in this layout, which say how many examples make an optimizer step."""
    labels: tuple[str, ...] = ()
    """Another label list."""
    against: str = ""
    """The contestant whose time this one's is compared with, where there are no peers."""
    precision: str = "float32"
    """What the frozen weights are in: float32, bfloat16 or q8_0 (llama.cpp's 8 bits)."""

    @property
    def ours(self) -> bool:
        """Whether it is gsa."""
        return self.script == "ours.py"


@dataclass(frozen=True)
class Measure:
    """One question with its data and contestants."""

    datasets: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    split: str = "train"
    dialogues: int = 42
    """A dataset, over all shares."""
    shares: int = 3
    """Each round takes one share of the dialogues, the same for all contestants."""
    unit: str = "targets/s"
    note: str = field(default="")


def _gsa(what: str, name: str, layout: str, rows: int, *more: str, **others: Any) -> Contestant:
    arguments = (what, "--row-tokens", str(rows), *more)
    return Contestant(name, "ours.py", layout, arguments, row_tokens=rows, **others)


def _versus(what: str, labels: int, *more: str) -> Contestant:
    name = f"gsa-{what}-{labels}"
    if labels == 7:
        return _gsa(what, name, "inline", 768, *more)
    return _gsa(what, name, "inline", 768, *more, labels=GO_EMOTIONS, against=f"gsa-{what}-7")


TRAINER = Contestant("trainer", "peers/trainer.py", calibrated=True)
TRL = Contestant("trl", "peers/sft.py", environment="trl", calibrated=True)
PACKED = Contestant("trl-packed", "peers/sft.py", arguments=("--packed",), environment="trl")
FACTORY = Contestant("llamafactory", "peers/factory.py", environment="llamafactory")
GENERATE = Contestant("generate", "peers/generation.py", calibrated=True)
HARNESS = Contestant("lm-eval", "peers/harness.py", environment="lmeval", calibrated=True)
LLAMACPP = Contestant("llama.cpp", "peers/llamacpp.py", environment="llamacpp")


def _inline(peer: Contestant, rows: int = 768) -> Contestant:
    return replace(peer, name=f"{peer.name}-inline", layout="inline", row_tokens=rows)


def _in(precision: str, *contestants: Contestant) -> tuple[Contestant, ...]:
    return tuple(replace(c, name=f"{c.name}-{precision}", precision=precision) for c in contestants)


TRAINING = (
    _gsa("train", "gsa-paper", "paper", 2048),
    _gsa("train", "gsa-inline", "inline", 768),
    TRAINER,
)
IN_BOTH = (*TRAINING, *_in("bfloat16", *TRAINING))
PEERS = (*TRAINING, _inline(TRAINER), TRL, PACKED, FACTORY)
SCORING = (
    Contestant("gsa-paper", "ours.py", "paper", ("score",)),
    Contestant("gsa-inline", "ours.py", "inline", ("score",)),
    GENERATE,
    _inline(GENERATE),
    HARNESS,
    _inline(HARNESS),
    LLAMACPP,
    _inline(LLAMACPP),
)
READING = (*SCORING[:2], LLAMACPP, _inline(LLAMACPP))
"""Of those that score, gsa and the fastest peer."""
SCORING_IN_ALL = (*SCORING, *_in("bfloat16", *READING), *_in("q8_0", LLAMACPP, _inline(LLAMACPP)))
LEAN = ("--batch", "1")

MEASURES: dict[str, Measure] = {
    "training-peers": Measure(
        ("meld",),
        PEERS,
        dialogues=12,
        note="every peer, on few dialogues: the best of them is measured on more below",
    ),
    "erc-train-meld": Measure(("meld",), IN_BOTH),
    "erc-train-emorynlp": Measure(("emorynlp",), IN_BOTH),
    "sa-train": Measure(("sst2", "mosei"), IN_BOTH, dialogues=300, unit="sentences/s"),
    "sd-train": Measure(("mustardpp",), IN_BOTH, dialogues=150),
    "erc-score-meld": Measure(("meld",), SCORING_IN_ALL, split="test"),
    "labels-28": Measure(
        ("meld",),
        tuple(
            _versus(what, n, *more)
            for what, more in (("train", ("--loss", "labels")), ("score", ()))
            for n in (7, 28)
        ),
    ),
    "memory": Measure(
        ("meld",),
        (
            _gsa("train", "gsa-paper", "paper", 1024),
            _gsa("train", "gsa-paper-recompute", "paper", 1024, "--recompute"),
            _gsa("train", "gsa-inline-recompute", "inline", 1024, "--recompute"),
            replace(TRAINER, name="trainer-lean", calibrated=False, arguments=LEAN),
            replace(TRL, name="trl-lean", calibrated=False, arguments=LEAN),
        ),
        dialogues=9,
        note="peers read one sequence at a time and add up as many as gsa's step holds",
    ),
}
