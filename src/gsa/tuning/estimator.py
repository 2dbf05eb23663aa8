"""A scikit-learn estimator of tuned models, for pipelines, cross-validation and searches."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from gsa.data.types import Utterance
from gsa.errors import InputError
from gsa.prediction.inputs import as_list
from gsa.tuning.model import TunedModel


class GsaClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Tunes a model on texts and labels, as `gsa.tune` does, in scikit-learn's contract.

    X is a list, an array or a Series of texts, or a list of conversations; y are labels of any type that
    scikit-learn takes, whose `str` is what the model reads. The parameters are those of `gsa.tune`.
    """

    def __init__(
        self,
        task: str = "label",
        instruction: str = "",
        model: str = "gsa-135m",
        learning_rate: float | None = None,
        epochs: float | None = None,
        examples_per_step: int | None = None,
        held_out: float = 0.2,
        seed: int = 0,
        precision: str = "float32",
        progress: bool = False,
    ) -> None:
        """Store the parameters; nothing is loaded before `fit`."""
        self.task = task
        self.instruction = instruction
        self.model = model
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.examples_per_step = examples_per_step
        self.held_out = held_out
        self.seed = seed
        self.precision = precision
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        """Return the tags of an estimator of texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Any, y: ArrayLike) -> "GsaClassifier":
        """Tune a model and return the estimator; raises InputError, a ValueError, for what cannot be read.

        Sets `classes_`, the distinct labels sorted, and `model_`, the TunedModel.
        """
        import gsa

        texts, labels = self._texts(X), column_or_1d(y, warn=True)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        words = [str(value).strip() for value in self.classes_.tolist()]
        if len(set(words)) < len(words):
            raise InputError(f"y: expected labels that differ in more than white space, found {words}")
        parameters = {name: value for name, value in self.get_params().items() if name != "task"}
        self.model_: TunedModel = gsa.tune(
            texts, [words[i] for i in indices], task=self.task or "label", **parameters
        )
        self._order = [self.model_.tasks[self.model_.task_name].labels.index(word) for word in words]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each text, of the type that y had; shape (texts,)."""
        chances = self.predict_proba(X)
        return np.asarray(self.classes_[chances.argmax(1)])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities in the order of `classes_`; shape (texts, classes)."""
        check_is_fitted(self, "model_")
        task = self.model_.tasks[self.model_.task_name]
        texts = self._texts(X)
        if task.context:  # a list of texts would be one conversation
            texts = [[text] if isinstance(text, str | Mapping | Utterance) else text for text in texts]
        predictions = self.model_.classify(task, texts) if texts else []
        rows = [list(prediction.probabilities.values()) for prediction in predictions]
        return np.asarray(rows, dtype=np.float64).reshape(len(rows), len(self.classes_))[:, self._order]

    @staticmethod
    def _texts(X: Any) -> list[Any]:
        """Return the texts of a list, an array or Series of one column."""
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        texts = as_list(X, "X")
        if not isinstance(texts, list):
            raise InputError(f"X: expected a list of texts, found {X!r:.60}")
        return texts
