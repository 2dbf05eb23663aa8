"""Studies of several recipes and seeds, baselines, the paper's cases."""
