"""Choose a strength: the fewest inputs within one standard error of the best score."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shrinkage.study.path.records import Point
from shrinkage.study.scores import Metric


def choose_points(points: Sequence[Point], metric: Metric) -> tuple[int, int]:
    """The places of the best point, and of the one with the fewest inputs that is nearly as good.

    "Best" is the best mean validation score, and among equals the fewest inputs. "Nearly as
    good" is within one standard error of the best; among those with the fewest inputs the one with
    the best score is taken.
    """
    places = range(len(points))
    gains = [metric.gain(point.score) for point in points]
    best = max(places, key=lambda place: (gains[place], -len(points[place].kept)))
    error = points[best].error
    floor = gains[best] - (0.0 if math.isnan(error) else error)
    near = [place for place in places if gains[place] >= floor]
    chosen = min(near, key=lambda place: (len(points[place].kept), -gains[place]))
    return best, chosen
