"""A study's folder: its SQLite file, the lock on it, and the files made from it."""
