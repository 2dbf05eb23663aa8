"""The levels of a chain side by side in memory, for comparisons.

In: the predictor that is served and the run that it came from. Out: one predictor for each level, made when
they are first asked for. A link changes few layers, so the levels share all other weights with the served
model: of SmolLM2-135M (540 MB in float32) each further level takes 106 MB where links sit on attention.
Beside bfloat16 weights a level takes its links alone.
"""

import copy
from collections.abc import Collection, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from gsa.chain.base import load_chain
from gsa.chain.calibration import Calibration
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import folder_of
from gsa.data.types import Prediction
from gsa.errors import InputError, memory_is_short
from gsa.model.backbone import LoadedModel
from gsa.prediction.predictor import Predictor
from gsa.serving.scheduler import QueryGroup, predict_groups


class Levels:
    """Every level of a chain. Safe to use from several threads."""

    def __init__(self, served: Predictor, source: str | Path | None = None, level: int | None = None) -> None:
        """`source` and `level` are those that `served` was loaded from; reads the chain, no weights."""
        self.served = served
        self._root = folder_of(source)
        self._chain = Chain.read(self._root) if RunFolder(self._root).is_run() else None
        links = self._chain.links if self._chain else ()
        self.names = ["untuned", *(f"after {link.name}" for link in links)] if links else []
        """Of the levels from 0 on; empty where the model is no chain."""
        self._served_level = len(links) if level is None else level
        self._lock = Lock()
        self._predictors: list[Predictor] = []

    @property
    def loaded(self) -> bool:
        """Whether comparisons are answered without reading weights first."""
        return bool(self._predictors)

    def load(self) -> None:
        """Load every level, once; takes seconds, and the backbone's memory once more meanwhile.

        Raises InputError where the model is no chain, a link is damaged, or memory does not suffice.
        """
        with self._lock:
            if self._predictors:
                return
            if not self.names or self._chain is None:
                raise InputError("this model is not a run: expected one made by `gsa tune` to compare levels")
            try:
                self._predictors = self._load_predictors(self._chain)
            except Exception as error:
                if memory_is_short(error):
                    raise InputError("there is not enough memory to compare levels") from None
                raise

    def predict(self, groups: Sequence[QueryGroup]) -> list[list[Prediction]]:
        """Return the Predictions of each group, in order, at its level or else by the served model."""
        by_level: dict[int | None, list[int]] = {}
        for index, group in enumerate(groups):
            by_level.setdefault(group.level, []).append(index)
        if by_level.keys() - {None}:
            self.load()
        predictions: dict[int, list[Prediction]] = {}
        for level, indices in by_level.items():
            predictor = self.served if level is None else self._predictors[level]
            answers = predict_groups(predictor, [groups[index] for index in indices])
            predictions.update(zip(indices, answers, strict=True))
        return [predictions[index] for index in range(len(groups))]

    def _load_predictors(self, chain: Chain) -> list[Predictor]:
        recipe, _ = RunFolder(self._root).read()
        links = chain.link_weights()
        layers = sorted({name for link in links for name in link.pairs})
        backbone = recipe.backbone.model_copy(update={"precision": self.served.precision})
        current = load_chain(chain, backbone, 0)
        predictors = []
        for level in range(len(links) + 1):
            if level:
                links[level - 1].apply_to(current.model)
            if level == self._served_level:
                predictors.append(self.served)
                continue
            if self.served.precision == "float32":
                model = copy_sharing(self.served.model, layers, current.model)
            else:
                model = copy_links(self.served.model, current.model)
            loaded = LoadedModel(model, current.tokenizer, chain.identity(level))
            calibration = Calibration.read(self._root, chain.identity(level))
            predictors.append(self.served.with_model(loaded, recipe.layout_at(level), calibration))
        return predictors


def copy_sharing(model: Any, layers: Collection[str], source: Any) -> Any:
    """Return a model with `source`'s weights in the layers named, and `model`'s own, shared, elsewhere.

    All three have one architecture. `model` is not changed.
    """
    copied = {id(model.get_submodule(name).weight) for name in layers}
    tensors = [*model.parameters(), *model.buffers()]
    result = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors if id(tensor) not in copied})
    for name in layers:
        result.get_submodule(name).weight.data.copy_(source.get_submodule(name).weight.data)
    return result


def copy_links(model: Any, source: Any) -> Any:
    """Return a copy of `source`, with the links beside its weights, that shares the weights of `model`.

    Both have one architecture and equal weights. Neither is changed.
    """
    weights = dict(model.named_parameters())
    memo: dict[int, Any] = {id(weight): weights[name] for name, weight in source.named_parameters()}
    memo |= {id(tensor): tensor for tensor in source.buffers()}  # replaced, not changed, by a further link
    return copy.deepcopy(source, memo)
