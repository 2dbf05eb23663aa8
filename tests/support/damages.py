"""The ways to damage a file, each with the random numbers that say where."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(1, len(content))])


DAMAGES: dict[str, Callable[[Path, random.Random], Any]] = {
    "a bit flipped": flip,
    "another bit flipped": flip,
    "a third bit flipped": flip,
    "cut short": cut,
    "emptied": lambda path, _: path.write_bytes(b""),
    "removed": lambda path, _: path.unlink(),
}
