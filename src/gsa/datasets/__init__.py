"""Datasets: one small reader a dataset, one skeleton, a catalogue, fetching, users' own files."""
