"""A penalty around any other optimizer, by hooks before and after its step."""
