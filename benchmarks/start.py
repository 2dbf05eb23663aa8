"""How long a user waits: from the shell to the first label, and until the server answers.

    python benchmarks/start.py [--rounds 5] [--model MODEL]

Medians over fresh processes, after one that warms the caches. Prints one JSON line a command.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

GSA = (sys.executable, "-m", "gsa")
TEXT = "The zip broke on the second day."


def seconds_of(words: Sequence[str]) -> float:
    """Return how long a command takes."""
    began = time.perf_counter()
    subprocess.run([*GSA, *words], capture_output=True, check=True)
    return time.perf_counter() - began


def seconds_until_ready(words: Sequence[str]) -> float:
    """Return how long a server takes until it prints its address, and stop it."""
    began = time.perf_counter()
    command = [*GSA, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        seconds = time.perf_counter() - began
        server.send_signal(signal.SIGINT)
    if " at http" not in line:
        sys.exit("start: expected a server that prints its address, found one that ended")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="gsa-135m")
    options = parser.parse_args()
    predict = ("predict", "sentiment", TEXT, "--model", options.model)
    serve = ("serve", "--port", "0", "--model", options.model)
    seconds_of(predict)
    for words in (
        predict,
        (*predict, "--precision", "float32"),
        ("--help",),
        ("--version",),
        (*serve, "--no-page"),
        serve,
    ):
        measure = seconds_until_ready if words[0] == "serve" else seconds_of
        times = [round(measure(words), 2) for _ in range(options.rounds)]
        row = {"command": " ".join(("gsa", *words)), "median": statistics.median(times), "seconds": times}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
