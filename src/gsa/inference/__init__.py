"""Labels for users: predictor, files. Knows the chain and the scores, no recipe's data and no metric."""
