"""Evaluation of a run: metrics, predictions and result rows."""
