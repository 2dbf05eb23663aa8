"""The chain of links: a run folder, its links as plain tensors or PEFT adapters, models with links merged."""
