"""A sample of `make torture`: deaths, signals and damage, then the same command (docs/reliability.md)."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from breaking import Ground, command, dead, links, log
from damages import DAMAGES
from disks import lay_out
from killing import Boundaries, Child


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"))


def until(happened: Callable[[], object]) -> None:
    """Wait for something, a minute at most."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.001)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.55, 0.99])
def test_a_death_at_a_file_boundary_loses_nothing(ground: Ground, share: float) -> None:
    total = ground.boundaries()
    assert total > 300, "the calls are counted"
    root, power = ground.fresh(), share in (0.2, 0.55, 0.99)
    code, _ = Child(
        command("tune", ground.recipe, "--out", root), Boundaries(root, int(share * total), power)
    ).end()
    case = ground.resumed("death", f"boundary {share}", root, dead(code))
    assert case.outcome == "same bytes", case


def test_a_power_cut_keeps_every_checkpoint_and_link_that_was_finished(ground: Ground) -> None:
    """Also where the file system forgets all names that were not flushed."""
    kept = [
        [name for name in disk["forgotten"] if name.endswith(("/SHA256SUMS", "adapter_model.safetensors"))]
        for disk in ground.disks()
    ]
    steps = len(ground.log.splitlines())
    assert len({name for names in kept for name in names}) == steps + 3
    forgotten = [disk["forgotten"] for disk in ground.disks()]
    half = next(disk for disk in forgotten if "checkpoints/2-ERC/checkpoint-2/SHA256SUMS" in disk)
    root = ground.fresh()
    lay_out(half, ground.store, root)
    case = ground.resumed("power cut", "names lost", root, True)
    assert case.outcome == "same bytes", case
    assert "level 2 ERC: resuming from step 2 of 3" in case.said


@pytest.mark.slow
def test_a_forked_run_and_a_fresh_process_give_the_same_bytes(ground: Ground) -> None:
    """Most tests of resuming fork; a user does not."""
    root = ground.fresh()
    words = [sys.executable, "-m", "gsa.cli.main", "tune", str(ground.recipe), "--out", str(root)]
    subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=True)
    assert links(root) == ground.links
    assert log(root) == ground.log


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_request_to_stop_leaves_a_checkpoint_a_sentence_and_the_usual_exit_code(
    ground: Ground, signum: signal.Signals
) -> None:
    for _ in range(5):  # a child may be done before this process, on a busy machine, has looked
        root = ground.fresh()
        child = Child(command("tune", ground.recipe, "--out", root))
        until(lambda root=root: (root / "log.jsonl").is_file() and (root / "log.jsonl").stat().st_size)
        child.kill(signum)
        code, said = child.end()
        if code:
            break
    assert code == 128 + signum, said
    assert f"gsa: stopped by {signum.name}: level " in said
    assert "Traceback" not in said
    assert list(root.glob("checkpoints/*/checkpoint-*/SHA256SUMS")) or list(root.glob("links/*"))
    case = ground.resumed("signal", signum.name, root, True)
    assert case.outcome == "same bytes", case


HALF = ["recipe.toml", "run.json", "chain.json", "log.jsonl", "links/1-SA/adapter_config.json",
        "checkpoints/2-ERC/*2/SHA256SUMS", "checkpoints/2-ERC/*2/optimizer.safetensors"]  # fmt: skip


@pytest.mark.parametrize("pattern", HALF)
def test_a_damaged_file_of_a_half_tuned_run_is_found(ground: Ground, pattern: str) -> None:
    (file,) = ground.half().glob(pattern)
    for damage in ("a bit flipped", "removed"):
        root = ground.copy(ground.half())
        DAMAGES[damage](root / file.relative_to(ground.half()), random.Random(5))
        case = ground.survived(damage, pattern, root, "tune")
        assert case.outcome != "FAILED", case
        if "optimizer" in pattern:
            assert "the checkpoint of step 2 is damaged" in case.said
            assert "level 2 ERC: resuming from step 1 of" in case.said


@pytest.mark.parametrize(
    "name", ["results.jsonl", "predictions/level-1/sampler-emotion-test.parquet", "predictions/SHA256SUMS"]
)
@pytest.mark.parametrize("damage", ["a bit flipped", "cut short", "emptied"])
def test_a_damaged_measurement_is_found(ground: Ground, name: str, damage: str) -> None:
    root = ground.copy(ground.measured())
    DAMAGES[damage](root / name, random.Random(1))
    case = ground.survived(damage, name, root, "eval")
    assert case.outcome != "FAILED", case


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_backbone_stops_with_a_sentence(ground: Ground, name: str) -> None:
    file, root = ground.backbone / name, ground.unmeasured()
    with ground.spare(file):
        content = bytearray(file.read_bytes())
        content[-9] ^= 1
        file.write_bytes(content)
        case = ground.survived("flip", name, root, "eval")
    assert case.outcome == "refused with a sentence", case


def test_a_run_that_another_process_works_on_is_refused(ground: Ground, tmp_path: Path) -> None:
    root = ground.fresh()
    first = Child(command("tune", ground.recipe, "--out", root))
    until(lambda: (root / "recipe.toml").is_file())
    first.kill(signal.SIGSTOP)  # it holds the lock for as long as it takes
    code, said = Child(command("tune", ground.recipe, "--out", root)).end()
    assert code == 2
    assert "another process is working in this folder" in said
    first.kill()
    first.end()
    case = ground.resumed("lock", "of a dead process", root, True)
    assert case.outcome == "same bytes", case
