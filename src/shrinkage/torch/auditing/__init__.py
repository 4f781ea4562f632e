"""The audit: what a model, its optimizer and its regularizer will really do together."""
