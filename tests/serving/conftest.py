"""A tiny predictor behind the server's routes."""

import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from tiny import byte_tokenizer, tiny_llama

from gsa.data.layout import Layout
from gsa.model.backbone import LoadedModel
from gsa.prediction.predictor import Predictor
from gsa.serving.app import Service, make_service
from gsa.serving.limits import Limits
from gsa.serving.shutdown import Server
from gsa.trie import attention
from serving import Held, listening


@pytest.fixture(scope="session")
def tiny_predictor() -> Predictor:
    model = tiny_llama().requires_grad_(False)
    model.set_attn_implementation(attention.NAME)
    return Predictor(LoadedModel(model, byte_tokenizer(), "tiny"), Layout(max_tokens=700), row_tokens=800)


@pytest.fixture
def predictor(tiny_predictor: Predictor) -> Held:
    return Held(tiny_predictor)


@pytest.fixture
def limits() -> Limits:
    """Small ones, so that each can be met."""
    return Limits(
        body=20_000, items=12, turns=10, text=400, labels=4, label=20, instruction=90, waiting=40, batch=32
    )


@pytest.fixture
def service(predictor: Held, limits: Limits) -> Service:
    return make_service(predictor, limits)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app) as client:
        yield client


@pytest.fixture
def serving(predictor: Held) -> Iterator[tuple[tuple[str, int], Server]]:
    """A server on a socket of its own, in a thread; yields its address and the server."""
    with listening(make_service(predictor, Limits(seconds=2)), end=predictor.go.set) as found:
        yield found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Give the loggers back as they were."""
    loggers = [logging.getLogger(name) for name in ("gsa.server", "uvicorn")]
    before = [(each.handlers, each.propagate, each.level) for each in loggers]
    yield
    for each, (handlers, propagate, level) in zip(loggers, before, strict=True):
        each.handlers, each.propagate, each.level = handlers, propagate, level
