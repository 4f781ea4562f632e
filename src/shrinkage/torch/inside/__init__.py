"""Optimizers with the penalty inside: what `SGD` and `Adam` have in common."""
