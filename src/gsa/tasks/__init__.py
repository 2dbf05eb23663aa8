"""Utterances, dialogues, examples; tasks, layouts, prompts. Knows no dataset and no torch."""
