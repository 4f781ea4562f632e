"""How a training curve is recorded, by every engine alike."""

POINTS = 40  # of a training curve, roughly
