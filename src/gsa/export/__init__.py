"""Exports of a chain: merged model, PEFT adapter, GGUF, and their model card."""
