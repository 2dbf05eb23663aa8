"""Scoring, metrics, results, the forgetting matrix."""
