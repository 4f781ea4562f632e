"""Models, optimizers, and the processes in which trials run."""
