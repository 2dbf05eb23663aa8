"""Labelling texts, conversations and files."""
