"""What a step does, in words and in aligned text."""
