"""Core types, tasks and layouts, and the encoding of examples as prompts and answers."""
