"""Tuning a chain from a recipe: a run folder that can be resumed."""
