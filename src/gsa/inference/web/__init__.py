"""The web page of `gsa serve`: what it shows, and how it asks."""
