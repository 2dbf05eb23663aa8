"""Studies of several recipes and seeds, baselines, and the paper's two cases."""
