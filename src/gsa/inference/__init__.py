"""Labels for users: predictor, files, server. Knows chain and scores, no recipe's data and no metric."""
