"""What a model, its penalties and its optimizer will do together."""
