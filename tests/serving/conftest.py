"""A tiny predictor behind the server's routes."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from gsa.serving.app import Service, make_service
from gsa.serving.limits import Limits
from gsa.serving.shutdown import Server
from serving import ControlledPredictor, limits, listening, predictor, restore_loggers, tiny_predictor

__all__ = ["limits", "predictor", "restore_loggers", "tiny_predictor"]


@pytest.fixture
def service(predictor: ControlledPredictor, limits: Limits) -> Service:
    return make_service(predictor, limits)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app) as client:
        yield client


@pytest.fixture
def serving(predictor: ControlledPredictor) -> Iterator[tuple[tuple[str, int], Server]]:
    """A server on a socket of its own, in a thread; yields its address and the server."""
    with listening(make_service(predictor, Limits(timeout=2)), end=predictor.go.set) as address_and_server:
        yield address_and_server
