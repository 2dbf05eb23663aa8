"""Texts with labels that a tiny model learns."""

SETTINGS = {"learning_rate": 1e-2, "epochs": 3, "examples_per_step": 8}
"""By which it learns them fast."""
WORDS = {"urgent": ("now", "asap", "help"), "can wait": ("later", "whenever", "soon")}
LABELS = ["urgent" if i % 3 else "can wait" for i in range(120)]
TEXTS = [f"{WORDS[label][i % 3]} {i}" for i, label in enumerate(LABELS)]
