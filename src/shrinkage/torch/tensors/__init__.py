"""Operations on one tensor: updates in place, and the values of penalties."""
