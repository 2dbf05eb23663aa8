"""Scoring, metrics, results, statistics, tables and figures."""
