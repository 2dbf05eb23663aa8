"""The benchmark of a plan's memory, on a small model: a process takes what the plan says."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tune_memory.py"


def test_a_process_takes_the_memory_that_its_plan_says() -> None:
    command = [sys.executable, str(SCRIPT), "random-26m/float32/short"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["measured_mb"] > 500
    assert 0.85 <= measured["ratio"] <= 1.2
