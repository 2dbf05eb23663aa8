"""CMU-MOSEI: spoken opinions about anything, transcribed.

Format: ``label.csv`` with ``video_id, clip_id, text, label, mode``: a score from -3 to 3, and train,
valid or test; the same as MOSI's.

Out come lone sentences labelled by the sign of the score: negative (<0), neutral (0), positive (>0),
so that both two-class conventions, with and without zeros, can be computed from predictions. Asked are
two labels, a score of 0 as positive (negative against non-negative); by ``three-class``, all three.
The texts are the owner's as they are.

Citation: Zadeh et al., Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and Interpretable
Dynamic Fusion Graph, ACL 2018.
"""

from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets.dataset import Dataset, Source, Splits, github
from gsa.datasets.mosi import METRICS, TWO_CLASSES, split_by_mode

NAME = "mosei"


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    return split_by_mode(folder / "label.csv", NAME)


_COMMIT = "0c3bbfaf149fb02e5149663f2e9b32823109869f"

DATASET = Dataset(
    name=NAME,
    title="CMU-MOSEI (spoken opinions)",
    task=TWO_CLASSES,
    protocols=("two-class", "three-class"),
    tasks={"three-class": SENTIMENT},
    metrics=METRICS,
    files=("label.csv",),
    read=read,
    folder="mosei",
    licence="none stated",
    homepage="http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset/",
    citation="Zadeh et al. 2018, Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and "
    "Interpretable Dynamic Fusion Graph, ACL",
    sources=(
        Source(
            "label.csv",
            "74a195945e28c1bbc45b6d279a99655d163f33d2c28b0c723ddba87bfbb97bfa",
            github("ailiwood/mme_0621", _COMMIT, "data/mosei/label.csv"),
        ),
    ),
)
