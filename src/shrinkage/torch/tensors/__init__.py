"""What is done to one tensor, in place: updates, and the values of penalties."""
