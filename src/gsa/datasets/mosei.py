"""CMU-MOSEI: spoken opinions about anything, transcribed.

Format: ``label.csv`` with ``video_id, clip_id, text, label, mode``, as MOSI's: a score from -3 to 3, and
train, valid or test.

The examples are single sentences labelled by the sign of the score, so that both two-class conventions, with
and without zeros, can be computed from predictions: negative (<0), neutral (0), positive (>0). The default
task has two labels and merges a score of 0 into positive (negative against non-negative); the protocol
``three-class`` has all three. The texts are the owner's, unchanged.

Citation: Zadeh et al., Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and Interpretable
Dynamic Fusion Graph, ACL 2018.
"""

from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
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
    files=(
        DataFile(
            "label.csv",
            "74a195945e28c1bbc45b6d279a99655d163f33d2c28b0c723ddba87bfbb97bfa",
            github("ailiwood/mme_0621", _COMMIT, "data/mosei/label.csv"),
        ),
    ),
    read=read,
    folder="mosei",
    licence="none stated",
    homepage="http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset/",
    citation="Zadeh et al. 2018, Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and "
    "Interpretable Dynamic Fusion Graph, ACL",
)
