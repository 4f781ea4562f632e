"""Which parameters have which penalty: bound tensors, their strengths, their checkpoints."""
