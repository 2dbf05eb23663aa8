"""TokenTrie: every prefix that the prompts of a batch share is stored, and computed, once."""
