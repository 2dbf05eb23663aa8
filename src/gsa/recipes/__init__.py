"""Recipes: TOML files that say everything a run depends on."""
