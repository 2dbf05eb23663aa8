"""Some hundreds of hostile requests on a real socket: no 5xx, no crash, and a fixed probe answers alike.

`make hostile` sends ten thousand (tests/hostile.py).
"""

from collections import Counter

import hostility
import httpx2
import pytest

PROBE = {"turns": ["They lost my luggage again.", {"speaker": "Desk", "text": "I am so sorry!"}]}


def test_no_hostile_request_breaks_the_server(serving) -> None:
    (host, port), server = serving
    url = f"http://{host}:{port}"
    seen: Counter[int] = Counter()
    with httpx2.Client() as client:
        expected = client.post(f"{url}/v1/emotion", json=PROBE).json()
        for i, request in enumerate(hostility.requests(500, seed=1)):
            statuses = hostility.send((host, port), request)
            assert all(status < 500 for status in statuses), (statuses, request[:300])
            seen.update(statuses or [0])
            if i % 50 == 0:
                assert client.post(f"{url}/v1/emotion", json=PROBE).json() == expected
        counts = client.get(f"{url}/metrics").text
    assert 'status="5' not in counts
    assert {200, 400, 404, 405, 413, 415, 422} <= set(seen), seen
    assert seen[422] > 100
    assert server._service.scheduler.alive


def test_a_body_that_breaks_http_is_answered_once(serving, caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn answers a malformed chunk by itself, before the middleware refuses the content type."""
    (host, port), _ = serving
    request = (
        b"POST /v1/sentiment HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n"
        b"transfer-encoding: chunked\r\n\r\nnot a size\r\n"
    )
    assert hostility.send((host, port), request) == [400]
    metrics = httpx2.get(f"http://{host}:{port}/metrics").text
    assert 'gsa_requests_total{path="/v1/sentiment",status="400"} 1.0' in metrics
    assert not [record for record in caplog.records if record.exc_info]


def test_the_requests_are_many_and_the_same_again() -> None:
    first, again = list(hostility.requests(400, seed=3)), list(hostility.requests(400, seed=3))
    assert first == again
    assert len(set(first)) > 350
    assert set(hostility.requests(400, seed=4)) != set(first)
