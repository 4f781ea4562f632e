"""The model that a study ends with: fitted, saved without pickle, and used on new rows."""
