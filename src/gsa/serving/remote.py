"""Labels of an export that llama.cpp's server or vLLM serves, with everything that a Predictor does.

In: a run, whose recipe and tokenizer make the prompts, and a server that has its weights. Out: Predictions.
The server is asked for one token at a time, whose probabilities are read; a prompt that it has just read is
in its cache, so labels of several tokens cost little more than those of one.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import requests

from gsa.chain.base import load_config
from gsa.chain.pipeline import Pipeline, ProgressCallback
from gsa.chain.source import ModelSource
from gsa.data.encoder import Prompt
from gsa.data.token_counts import TokenIds
from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.model.scoring import to_prediction
from gsa.prediction.loading import identity_of
from gsa.prediction.predictor import Predictor
from gsa.trie.label_reads import label_reads

TIMEOUT = 300.0
"""Seconds that a server may take for one token."""
SMALLEST = 1e-30
"""Probability of a token that a server does not list."""


class ModelServer(Protocol):
    """A server that tells the probabilities of given tokens."""

    dtype: str
    """What it serves, for messages and identities."""

    def probabilities(self, ids: TokenIds, tokens: Sequence[int], first: bool) -> list[float]:
        """Return the probability of each of `tokens` after `ids`; up to a common factor if `first`."""


class LlamaCpp:
    """llama.cpp's server, `llama-server -m FILE.gguf`."""

    dtype = "llama.cpp"
    FIRST_BIAS, BIAS = 100.0, 10.0
    """Added to the logits of the tokens that are asked for, so that they are among the most probable."""
    MORE = 20
    """Tokens beside them that are listed."""

    def __init__(self, url: str, token: str = "") -> None:
        """`token` is the server's API key."""
        self.url, self.token = url, token

    def probabilities(self, ids: TokenIds, tokens: Sequence[int], first: bool) -> list[float]:
        """Return the probability of each of `tokens`.

        The server lists them after the bias b. If their sum is s then, it was s / (s + e^b (1 - s)) before.
        With the larger bias s is 1, and only their ratios are known.
        """
        bias = self.FIRST_BIAS if first else self.BIAS
        request = {
            "prompt": list(ids), "n_predict": 1, "temperature": 1.0, "samplers": [], "cache_prompt": True,
            "logit_bias": [[token, bias] for token in tokens],
            "n_probs": len(tokens) + (0 if first else self.MORE), "post_sampling_probs": True,
        }  # fmt: skip
        answer = post(f"{self.url}/completion", request, self.token)
        listed = {entry["id"]: entry["prob"] for entry in answer["completion_probabilities"][0]["top_probs"]}
        biased = [listed.get(token, 0.0) for token in tokens]
        total = sum(biased)
        factor = 1.0 if first else 1 / (total + math.exp(bias) * max(0.0, 1 - total))
        return [probability * factor for probability in biased]


class Vllm:
    """vLLM's server, `vllm serve`, of a version that knows `logprob_token_ids` (July 2026)."""

    dtype = "vllm"

    def __init__(self, url: str, model: str, token: str = "") -> None:
        """`model` is the name that the server gave the model or the adapter, `token` its API key."""
        self.url, self.model, self.token = url, model, token

    def probabilities(self, ids: TokenIds, tokens: Sequence[int], first: bool) -> list[float]:
        """Return the probability of each of `tokens`."""
        request = {
            "model": self.model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "logprobs": 1,
            "logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True,
        }  # fmt: skip
        answer = post(f"{self.url}/v1/completions", request, self.token)
        listed = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        missing = [token for token in tokens if f"token_id:{token}" not in listed]
        if missing:
            raise InputError(
                f"'{self.url}' lists no probability of token {missing[0]}: expected a vLLM that knows "
                "logprob_token_ids"
            )
        return [math.exp(listed[f"token_id:{token}"]) for token in tokens]


def post(url: str, body: Any, token: str) -> Any:
    """Return the JSON that a server answers; raises InputError if it is not there or refuses."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        response = requests.post(url, json=body, headers=headers, timeout=TIMEOUT)
        response.raise_for_status()
        return response.json()
    except requests.RequestException as error:
        raise InputError(f"'{url}' gives no probabilities: {error}") from None


class RemotePredictor(Predictor):
    """A Predictor whose model is on a server: `RemotePredictor("gsa-135m", LlamaCpp("http://HOST:8080"))`."""

    def __init__(
        self, run: str | Path, server: ModelServer, level: int | None = None, parallel: int = 4
    ) -> None:
        """`level` is how many links the export has; `parallel` is how many requests are made at a time."""
        source = ModelSource.find(run)
        source.check_level(level)
        _, tokenizer = load_config(source.backbone)
        loaded = LoadedModel(server, tokenizer, source.chain.base if source.chain else source.name)
        identity = identity_of(source, loaded, level)
        super().__init__(
            loaded,
            source.layout(level),
            source.tasks(level),
            identity=identity,
            tuned=source.tuned_names(level),
        )
        self.pipeline = RemotePipeline(loaded, source, level, parallel)


class RemotePipeline(Pipeline):
    """A Pipeline whose prompts are scored by a server."""

    def __init__(self, loaded: LoadedModel, source: ModelSource, level: int | None, parallel: int) -> None:
        """`loaded.model` is the ModelServer; `parallel` is how many requests are made at a time."""
        super().__init__(loaded, source.layout(level), calibration=source.calibration(level))
        self._parallel = parallel

    def _score(self, prompts: Sequence[Prompt], progress: ProgressCallback | None) -> list[Prediction]:
        predictions = []
        with ThreadPoolExecutor(self._parallel) as pool:
            for prediction in pool.map(self._score_prompt, prompts):
                predictions.append(prediction)
                if progress:
                    progress(len(predictions))
        return predictions

    def _score_prompt(self, prompt: Prompt) -> Prediction:
        """Return the prediction of one prompt, from one request a read of its labels."""
        log_p: dict[TokenIds, float] = {}
        for after, tokens in label_reads(prompt.answers).items():
            read = self.loaded.model.probabilities(prompt.ids + after, tokens, not after)
            for token, probability in zip(tokens, read, strict=True):
                log_p[(*after, token)] = math.log(max(probability, SMALLEST))
        scores = [sum(log_p[answer[: i + 1]] for i in range(len(answer))) for answer in prompt.answers]
        return to_prediction(prompt, np.array(scores), np.zeros(len(scores), dtype=np.bool_))
