"""What is known of a model: its parameters and their owners, units, heads, selections by name."""
