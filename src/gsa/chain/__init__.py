"""Backbones, links, tuning, recipes, runs. The only place that knows PEFT."""
