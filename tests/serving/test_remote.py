"""A model on another server: llama.cpp's and vLLM's protocols, and predictions that are the predictor's."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import gsa
from gsa.chain.calibration import Calibration
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.data.types import sentence
from gsa.errors import InputError
from gsa.serving import remote as remote_module
from gsa.serving.remote import LlamaCpp, RemotePredictor, Vllm

TALK = [("Ana", "The train is cancelled again."), ("Ben", "Wonderful, I love waiting in the rain.")]


class StandIn:
    """What the servers answer, in their forms, computed from a model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.requests: list[tuple[str, dict[str, Any], str]] = []

    def __call__(self, url: str, body: dict[str, Any], token: str) -> Any:
        self.requests.append((url, body, token))
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor([body["prompt"]])).logits[0, -1].float()
        return json.loads(
            json.dumps(self.llama(logits, body) if "n_probs" in body else self.vllm(logits, body))
        )

    def llama(self, logits: torch.Tensor, body: dict[str, Any]) -> Any:
        assert body["samplers"] == []
        assert body["post_sampling_probs"]
        for token, bias in body["logit_bias"]:
            logits[token] += bias
        chances, ids = logits.softmax(0).sort(descending=True)
        listed = [
            {"id": int(i), "token": "x", "bytes": [120], "prob": float(p)}
            for p, i in zip(chances, ids, strict=True)
        ][: body["n_probs"]]
        return {"content": "x", "completion_probabilities": [{"id": int(ids[0]), "top_probs": listed}]}

    def vllm(self, logits: torch.Tensor, body: dict[str, Any]) -> Any:
        assert (body["max_tokens"], body["return_tokens_as_token_ids"]) == (1, True)
        log_p = logits.log_softmax(0)
        listed = {f"token_id:{token}": float(log_p[token]) for token in body["logprob_token_ids"]}
        return {"choices": [{"text": "x", "logprobs": {"top_logprobs": [listed]}}]}


@pytest.mark.parametrize("server", [LlamaCpp("http://host"), Vllm("http://host", "tiny")])
def test_predictions_are_the_predictors(tuned: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of one and of several tokens, texts and conversations, cut or whole."""
    local = gsa.load(tuned)
    monkeypatch.setattr(remote_module, "post", StandIn(RunFolder(tuned).load()[2].model))
    remote = RemotePredictor(tuned, server, parallel=1)
    for here, there in (
        (local.sentiment(["Good.", "Bad. " * 400]), remote.sentiment(["Good.", "Bad. " * 400])),
        (local.emotions(TALK), remote.emotions(TALK)),
        ([local.sarcasm(TALK)], [remote.sarcasm(TALK)]),
        ([local.classify("mood", "Fine.", ["up", "upper"], "Say.")],
         [remote.classify("mood", "Fine.", ["up", "upper"], "Say.")]),
    ):  # fmt: skip
        for expected, answer in zip(here, there, strict=True):
            assert list(answer.probabilities) == list(expected.probabilities)
            assert list(answer.probabilities.values()) == pytest.approx(
                list(expected.probabilities.values()), abs=2e-3
            )
            assert answer.truncated == expected.truncated


@pytest.mark.parametrize("level", [None, 1])
def test_the_identity_has_what_predictions_depend_on(tuned: Path, tmp_path: Path, level: int | None) -> None:
    run = Path(shutil.copytree(tuned, tmp_path / "run"))
    Calibration(Chain.read(run).identity(level), {"sentiment: negative, neutral, positive": 2.0}).write(run)
    remote = RemotePredictor(run, LlamaCpp("http://host"), level)
    assert remote.pipeline.calibration
    assert remote.identity == {**gsa.load(run, level).identity, "precision": "llama.cpp"}
    assert remote.identity != RemotePredictor(tuned, LlamaCpp("http://host"), level).identity


def test_one_request_reads_all_labels_of_one_token(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn(RunFolder(tuned).load()[2].model)
    monkeypatch.setattr(remote_module, "post", stand_in)
    done: list[int] = []
    remote = RemotePredictor(tuned, LlamaCpp("http://host", token="secret"))
    task = remote.task("letters", ["a", "b", "c"], "Which letter?")
    remote.predict([sentence("One.", "1", task.name), sentence("Two.", "2", task.name)], task, done.append)
    assert [(url, token) for url, _, token in stand_in.requests] == [("http://host/completion", "secret")] * 2
    assert all(len(body["logit_bias"]) == body["n_probs"] == 3 for _, body, _ in stand_in.requests)
    assert done == [1, 2]


def test_the_bias_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probabilities from 1e-6 to nearly 1 are those before the bias."""
    for p in (1e-6, 1e-3, 0.3, 0.9, 0.999):
        logits = torch.full((50,), math.log((1 - p) / 49))
        logits[7] = math.log(p)
        stand_in = StandIn(
            lambda input_ids, logits=logits: type("O", (), {"logits": logits.clone()[None, None]})
        )
        monkeypatch.setattr(remote_module, "post", stand_in)
        (found,) = LlamaCpp("http://host").probabilities((1, 2), [7], first=False)
        assert found == pytest.approx(p, rel=2e-2 if p < 0.99 else 2e-3)


def test_a_server_that_is_not_there_or_too_old_is_one_sentence(
    tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"'http://127.0.0.1:9/completion' gives no probabilities: "):
        RemotePredictor(tuned, LlamaCpp("http://127.0.0.1:9")).sentiment("Good.")
    old = {"choices": [{"logprobs": {"top_logprobs": [{" a": -1.0}]}}]}
    monkeypatch.setattr(remote_module, "post", lambda *_: old)
    with pytest.raises(InputError, match="lists no probability of token"):
        RemotePredictor(tuned, Vllm("http://host", "m")).sentiment("Good.")
