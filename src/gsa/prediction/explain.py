"""How much each word of a text moves its label, by leaving words out.

A word is left out of the text, and the answer is read again. Whatever follows the word has to be computed
again, half of the text for each word, so the answer is read `reach` words behind the word that is left out
instead of at the end: the largest reach is taken whose trie has at most `MAX_READINGS` times the tokens of
one plain reading. In a short text it is the whole text.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from gsa.data.encoder import Prompt
from gsa.data.task import Task
from gsa.data.types import Dialogue, Prediction
from gsa.errors import InputError
from gsa.prediction.inputs import last_turn
from gsa.prediction.language import foreign_language
from gsa.trie.packing import branches
from gsa.trie.trie import size

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

MAX_READINGS = 3.0
"""Most tokens of an explanation, as a multiple of those of one plain reading."""
SMALLEST = sys.float_info.min
"""A probability of 0 counts as this."""

CountTokens = Callable[[Sequence[str]], int]
"""Returns how many tokens the model computes to label several versions of a text in one trie."""


@dataclass(frozen=True)
class Explanation:
    """A text's prediction, and how much each of its words moves one label."""

    prediction: Prediction
    label: str
    """The label that is explained."""
    words: tuple[str, ...]
    """The words of the text, as white space separates them."""
    effects: tuple[float, ...]
    """By how much each word raises the log-odds of the label; below 0 where it lowers them. 0.7 doubles the
    odds, 2.3 makes them ten times as high."""
    reach: int
    """How many words behind a word the answer was read with and without it."""
    readings: float
    """Tokens that were computed, as a multiple of those of a plain reading."""

    def top(self, count: int = 3) -> list[str]:
        """Return the words that raise the label most, the strongest first."""
        ranked = sorted(zip(self.words, self.effects, strict=True), key=lambda pair: -pair[1])
        return [word for word, effect in ranked[:count] if effect > 0]


@dataclass(frozen=True)
class ExplanationPlan:
    """The versions of a text that an explanation compares."""

    words: tuple[str, ...]
    reach: int
    readings: float

    @cached_property
    def versions(self) -> list[str]:
        """The distinct texts to be labelled; the first is the whole text."""
        return distinct_versions(self.words, self.reach)

    def explanation(self, predictions: Sequence[Prediction], label: str = "") -> Explanation:
        """Return the explanation from one prediction a version, in order.

        `label` is the label to explain, the predicted one if empty. Raises InputError for a label that the
        task does not have.
        """
        prediction = predictions[0]
        label = label or prediction.likeliest
        if label not in prediction.probabilities:
            raise InputError(f"label '{label}': expected one of {list(prediction.probabilities)}")
        log_odds = {
            text: _log_odds(version, label) for text, version in zip(self.versions, predictions, strict=True)
        }
        effects = tuple(
            log_odds[present] - log_odds[absent] for present, absent in pairs(self.words, self.reach)
        )
        return Explanation(prediction, label, self.words, effects, self.reach, self.readings)


def explain(
    predictor: "Predictor", conversation: Dialogue, task: Task, label: str = "", exact: bool = False
) -> Explanation:
    """Return the effects of the words of a conversation's last turn; see `Predictor.explain`."""
    plan, prompts = plan_conversation(predictor, conversation, task, exact)
    predictions = predictor.pipeline.predict_versions(prompts, task)
    predictions[0] = replace(predictions[0], language=foreign_language(plan.versions[0]))
    return plan.explanation(predictions, label)


def plan_conversation(
    predictor: "Predictor", conversation: Dialogue, task: Task, exact: bool = False
) -> tuple[ExplanationPlan, list[Prompt]]:
    """Return the versions of a conversation's last turn that are compared, and the prompt of each.

    Raises InputError for a last turn that is too long to be read in full, and for a multi-label task.
    """
    if task.multilabel:
        raise InputError(f"task '{task.name}' has several labels at once: expected a task of one label")
    prompts: dict[str, Prompt] = {}

    def count_tokens(texts: Sequence[str]) -> int:
        new = [text for text in texts if text not in prompts]
        encoded = predictor.pipeline.encode([last_turn(conversation, task, text) for text in new], task)
        prompts.update(zip(new, encoded, strict=True))
        return size([branch for text in texts for branch in branches(prompts[text], True)])

    plan = plan_explanation(conversation.turns[-1].text, count_tokens, exact)
    versions = [prompts[text] for text in plan.versions]
    if versions[0].cut_words:
        raise InputError(
            f"text: expected one that the model reads in full, found {versions[0].cut_words:,} words too many"
        )
    return plan, versions


def plan_explanation(text: str, count_tokens: CountTokens, exact: bool = False) -> ExplanationPlan:
    """Return which versions of a text are read: of the largest reach within `MAX_READINGS`.

    With `exact` every version is read to the end of the text, whatever that costs.
    """
    words = tuple(text.split())
    if not words:
        raise InputError("text: expected a text, found an empty one")
    plain = count_tokens([" ".join(words)])
    longest = len(words) - 1
    if exact:
        return ExplanationPlan(words, longest, count_tokens(distinct_versions(words, longest)) / plain)
    plan = ExplanationPlan(words, 0, count_tokens(distinct_versions(words, 0)) / plain)
    for reach in range(1, longest + 1):
        readings = count_tokens(distinct_versions(words, reach)) / plain
        if readings > MAX_READINGS:
            break
        plan = ExplanationPlan(words, reach, readings)
    return plan


def pairs(words: Sequence[str], reach: int) -> list[tuple[str, str]]:
    """Return for each word the text up to `reach` words behind it, with the word and without it."""
    result = []
    for i in range(len(words)):
        stop = min(len(words), i + reach + 1)
        result.append((" ".join(words[:stop]), " ".join([*words[:i], *words[i + 1 : stop]])))
    return result


def distinct_versions(words: Sequence[str], reach: int) -> list[str]:
    """Return the distinct texts of all pairs, the whole text first."""
    versions = [text for pair in pairs(words, reach) for text in pair]
    return list(dict.fromkeys([" ".join(words), *versions]))


def _log_odds(prediction: Prediction, label: str) -> float:
    against = sum(p for name, p in prediction.probabilities.items() if name != label)
    return math.log(max(prediction.probabilities[label], SMALLEST)) - math.log(max(against, SMALLEST))
