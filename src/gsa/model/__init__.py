"""Backbones, the forward pass over a TokenTrie, and the scoring of labels."""
