"""Labelling on more than one process or machine, with Ray Data."""
