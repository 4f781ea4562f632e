"""Optimizers with the penalty inside: SGD, Adam and RDA in one pass over memory."""
