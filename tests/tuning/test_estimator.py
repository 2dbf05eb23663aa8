"""`GsaClassifier` in scikit-learn's contract.

Of an estimator of texts, as its tags say it is, `check_estimator` runs `check_estimator_cloneable` alone: it
leaves out all checks that fit matrices of numbers, which are no texts. The checks of the interface that fit
nothing are run here by name, and what the others look for is tested on texts below.
"""

import pickle
import warnings

import numpy as np
import pytest
from labelled import LABELS, TEXTS
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from gsa import GsaClassifier
from gsa.errors import InputError

CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.fixture(scope="module")
def quick(settings: dict[str, object]) -> GsaClassifier:
    return GsaClassifier(task="urgency", held_out=0, **{**settings, "epochs": 1.0})


@pytest.fixture(scope="module")
def fitted(quick: GsaClassifier) -> GsaClassifier:
    """Fitted on lists; not to be changed."""
    return clone(quick).fit(TEXTS, LABELS)


def test_scikit_learns_own_checks(quick: GsaClassifier) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        estimator_checks.check_estimator(quick)
    for name in CHECKS:
        getattr(estimator_checks, name)("GsaClassifier", quick)
    assert is_classifier(quick)


def test_labels_and_probabilities(fitted: GsaClassifier) -> None:
    assert fitted.classes_.tolist() == ["can wait", "urgent"]
    chances = fitted.predict_proba(TEXTS[:7])
    assert chances.shape == (7, 2)
    assert np.allclose(chances.sum(1), 1)
    assert fitted.predict(TEXTS[:7]).tolist() == fitted.classes_[chances.argmax(1)].tolist()
    assert fitted.score(TEXTS, LABELS) > 0.9
    assert np.array_equal(fitted.predict_proba(np.array(TEXTS[:7], dtype=object)[:, None]), chances)


def test_no_texts_have_no_labels(fitted: GsaClassifier) -> None:
    assert fitted.predict_proba([]).shape == (0, 2)
    assert fitted.predict(np.array([])).tolist() == []


def test_labels_keep_their_type_and_order(quick: GsaClassifier) -> None:
    numbers = np.array([{"urgent": 10, "can wait": 9}[label] for label in LABELS])
    model = clone(quick).set_params(epochs=3.0).fit(np.array(TEXTS), numbers)
    assert model.classes_.tolist() == [9, 10], "by value: as words 10 comes first"
    assert model.predict(TEXTS[:4]).dtype == numbers.dtype
    assert model.score(TEXTS, numbers) > 0.8


def test_lone_texts_and_conversations_may_be_mixed(quick: GsaClassifier) -> None:
    texts = [*TEXTS[:23], [("Ana", "Where is it?"), ("Desk", TEXTS[23])]]
    model = clone(quick).set_params(epochs=0.5).fit(texts, LABELS[:24])
    lone, mixed = model.predict_proba(TEXTS[:3]), model.predict_proba([*TEXTS[:3], texts[23]])
    assert (lone.shape, mixed.shape) == ((3, 2), (4, 2))
    assert np.allclose(lone, mixed[:3], atol=1e-5)
    assert model.predict_proba([{"text": TEXTS[0]}])[0] == pytest.approx(lone[0], abs=1e-5)


def test_labels_may_have_white_space_around_them(quick: GsaClassifier) -> None:
    labels = [f" {label}\n" for label in LABELS[:24]]
    model = clone(quick).set_params(epochs=0.5).fit(TEXTS[:24], labels)
    assert model.classes_.tolist() == [" can wait\n", " urgent\n"]
    assert set(model.predict(TEXTS[:4])) <= set(labels)
    with pytest.raises(InputError, match="y: expected labels that differ in more than white space"):
        clone(quick).fit(TEXTS[:4], ["a", "b", "a ", "b"])


def test_fitting_again_gives_the_same_and_a_pickle_predicts_it(
    quick: GsaClassifier, fitted: GsaClassifier
) -> None:
    again = clone(quick).fit(TEXTS, LABELS)
    assert np.array_equal(again.predict_proba(TEXTS[:5]), fitted.predict_proba(TEXTS[:5]))
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(TEXTS[:5]), fitted.predict_proba(TEXTS[:5]))
    assert fitted.get_params() == quick.get_params(), "fit changes no parameter"


def test_cross_validation_searches_and_pipelines(quick: GsaClassifier) -> None:
    scores = cross_val_score(quick, TEXTS[:60], LABELS[:60], cv=2)
    assert scores.shape == (2,)
    search = GridSearchCV(quick, {"learning_rate": [1e-6, 1e-2]}, cv=2).fit(TEXTS[:60], LABELS[:60])
    assert search.best_params_ == {"learning_rate": 1e-2}
    assert search.predict(TEXTS[:2]).shape == (2,)
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    assert make_pipeline(lower, clone(quick)).fit(TEXTS[:30], LABELS[:30]).predict(["HELP 3"]).shape == (1,)


def test_what_cannot_be_fitted_is_refused(quick: GsaClassifier) -> None:
    with pytest.raises(NotFittedError):
        clone(quick).predict(TEXTS[:1])
    with pytest.raises(ValueError, match="expected two or more distinct ones"):
        clone(quick).fit(TEXTS[:3], ["urgent"] * 3)
    with pytest.raises(ValueError, match="Unknown label type"):
        clone(quick).fit(TEXTS[:3], [0.1, 0.2, 0.35])
    with pytest.raises(InputError, match="expected as many labels as texts, found 2 and 3"):
        clone(quick).fit(TEXTS[:3], LABELS[:2])
    with pytest.raises(InputError, match=r"text 1( turn 1)?: expected a text"):
        clone(quick).fit(np.zeros((3, 2)), LABELS[:3])
    with pytest.raises(InputError, match="X: expected a list of texts, found 'help'"):
        clone(quick).fit("help", LABELS[:3])
