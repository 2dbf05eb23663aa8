"""Utterances, dialogues and examples; tasks, layouts, prompts and answers."""
