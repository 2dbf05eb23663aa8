"""The command `gsa`."""
