"""Paths: one method from no input to all, with what enters and leaves, by name."""
