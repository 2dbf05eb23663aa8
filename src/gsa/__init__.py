"""gsa: one language model, tuned level by level, that does all of sentiment."""

__version__ = "0.1.0"

__all__ = ["__version__"]
