"""The levels of a chain side by side in memory, for comparisons.

In: the predictor that is served and the run that it came from. Out: one predictor a level, made when they
are first asked for. A link changes few layers, so the levels share all other weights with the one that is
served: of SmolLM2-135M (540 MB in float32) each further level takes 106 MB where links sit on attention.
"""

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from gsa.chain.chain import Chain
from gsa.chain.manifest import MANIFEST
from gsa.chain.run_folder import read_run
from gsa.data.types import Prediction
from gsa.errors import InputError, memory_is_short
from gsa.model.backbone import LoadedModel
from gsa.prediction.loading import folder_of
from gsa.prediction.predictor import Predictor


@dataclass(frozen=True, slots=True)
class LevelQuery(Query):
    """A query to the chain at one level, whatever level is served."""

    links: int = 0
    """How many links are merged; 0 is untuned."""


class Levels:
    """Every level of a chain. Safe to use from several threads."""

    def __init__(self, served: Predictor, source: str | Path | None = None, level: int | None = None) -> None:
        """`source` and `level` are those that `served` was loaded from; reads the chain, no weights."""
        self.served = served
        self._root = folder_of(source)
        self._chain = Chain.read(self._root) if (self._root / MANIFEST).is_file() else None
        links = self._chain.links if self._chain else ()
        self.names = ["untuned", *(f"after {link.name}" for link in links)] if links else []
        """Of the levels from 0 on; empty where the model is no chain."""
        self._at = len(links) if level is None else level
        self._lock = Lock()
        self._predictors: list[Predictor] = []

    @property
    def loaded(self) -> bool:
        """Whether comparisons are answered without reading weights first."""
        return bool(self._predictors)

    def load(self) -> None:
        """Make every level ready, once; takes seconds, and the backbone's memory once more meanwhile.

        Raises InputError where the model is no chain, a link is damaged, or memory does not suffice.
        """
        with self._lock:
            if self._predictors:
                return
            if not self.names or self._chain is None:
                raise InputError("this model is not a run: expected one made by `gsa tune` to compare levels")
            try:
                self._predictors = self._read(self._chain)
            except Exception as error:
                if memory_is_short(error):
                    raise InputError("memory does not suffice to compare levels") from None
                raise

    def predict(
        self, queries: Sequence[Query], progress: Callable[[int], None] | None = None
    ) -> list[Prediction]:
        """Return the Prediction of each query, in order, each by its level or else by the one served."""
        levels = {query.links if isinstance(query, LevelQuery) else None for query in queries}
        if levels <= {None}:
            return self.served.predict(queries, *([progress] if progress else []))
        self.load()
        found: dict[int, Prediction] = {}
        for level in levels:
            mine = [
                i for i, q in enumerate(queries) if (q.links if isinstance(q, LevelQuery) else None) == level
            ]
            predictor = self.served if level is None else self._predictors[level]
            found.update(zip(mine, predictor.predict([queries[i] for i in mine]), strict=True))
        return [found[i] for i in range(len(queries))]

    def _read(self, chain: Chain) -> list[Predictor]:
        recipe, _ = read_run(self._root)
        links = chain.link_weights()
        layers = sorted({name for link in links for name in link.pairs})
        current = chain.load(recipe.backbone, 0)
        found = []
        for level in range(len(links) + 1):
            if level:
                links[level - 1].merge_into(current.model)
            if level == self._at:
                found.append(self.served)
            else:
                own = twin(self.served.model, layers, current.model)
                found.append(self.served.of(LoadedModel(own, current.tokenizer, current.identity)))
        return found


def twin(model: Any, layers: Collection[str], source: Any) -> Any:
    """Return a model with `source`'s weights in the layers named and `model`'s, shared, everywhere else.

    All three are one architecture. Nothing of `model` is changed.
    """
    own = {id(model.get_submodule(name).weight) for name in layers}
    tensors = [*model.parameters(), *model.buffers()]
    made = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors if id(tensor) not in own})
    for name in layers:
        made.get_submodule(name).weight.data.copy_(source.get_submodule(name).weight.data)
    return made
