"""Tuning from Python: labelled texts in memory in, a tuned model out."""
