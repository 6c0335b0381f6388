"""What live traffic looks like: the prediction log, drift against the training data, quality from labels that come later."""
