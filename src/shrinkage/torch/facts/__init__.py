"""What is known of torch's optimizers: their own steps, weight decay, momentum, wrappers."""
