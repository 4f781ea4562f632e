"""Choose a strength: the fewest inputs within one standard error of the best score."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shrinkage.study.path.records import Point


def choose_points(points: Sequence[Point]) -> tuple[int, int]:
    """The places of the best point, and of the one with the fewest inputs that is nearly as good.

    "Best" is the highest mean validation score, and among equals the fewest inputs. "Nearly as
    good" is within one standard error of the best; among those with the fewest inputs the one with
    the best score is taken.
    """
    places = range(len(points))
    best = max(places, key=lambda place: (points[place].score, -len(points[place].kept)))
    error = points[best].error
    floor = points[best].score - (0.0 if math.isnan(error) else error)
    near = [place for place in places if points[place].score >= floor]
    chosen = min(near, key=lambda place: (len(points[place].kept), -points[place].score))
    return best, chosen
