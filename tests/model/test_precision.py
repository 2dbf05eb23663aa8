"""Which precision is taken, by what the device computes."""

import pytest
import torch

from gsa.errors import InputError
from gsa.model import precision
from gsa.model.precision import resolve_precision, supports_bfloat16


@pytest.mark.parametrize(
    ("word", "native", "taken"),
    [
        ("float32", True, "float32"),
        ("float32", False, "float32"),
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        ("bfloat16", True, "bfloat16"),
    ],
)
def test_auto_is_what_the_device_computes(word, native, taken, monkeypatch):
    monkeypatch.setattr(precision, "supports_bfloat16", lambda device: native)
    assert resolve_precision(word) == taken


def test_what_the_processor_cannot_do_is_refused(monkeypatch):
    monkeypatch.setattr(precision, "supports_bfloat16", lambda device: False)
    with pytest.raises(InputError, match=r"'bfloat16': cpu has no bfloat16 products.*expected 'float32' or"):
        resolve_precision("bfloat16")


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision 'bfloat61': expected one of auto, float32, bfloat16"):
        resolve_precision("bfloat61")


@pytest.mark.parametrize(("avx", "amx"), [(True, False), (False, True), (False, False)])
def test_either_instruction_set_serves(avx, amx, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert supports_bfloat16() is (avx or amx)
