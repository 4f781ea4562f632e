"""Sentences on what a step does, and tables as text and HTML."""
