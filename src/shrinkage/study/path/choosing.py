"""Choose a strength: the fewest inputs within one standard error of the best score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from shrinkage.study.path.records import Point
from shrinkage.study.scores import Metric


def choose_points(points: Sequence[Point], metric: Metric) -> tuple[int, int]:
    """The places of the best point, and of the one with the fewest inputs that is nearly as good.

    "Best" is the best mean validation score, and among equals the fewest inputs. "Nearly as
    good" is within one standard error of the best; among those with the fewest inputs the one with
    the best score is taken. The standard error of a few seeds is itself uncertain, so that of the
    best counts as at least the median of all points'.
    """
    places = range(len(points))
    gains = [metric.gain(point.score) for point in points]
    best = max(places, key=lambda place: (gains[place], -len(points[place].kept)))
    errors = [point.error for point in points if not math.isnan(point.error)]
    error = max(points[best].error, median(errors)) if errors else 0.0
    floor = gains[best] - error
    near = [place for place in places if gains[place] >= floor]
    chosen = min(near, key=lambda place: (len(points[place].kept), -gains[place]))
    return best, chosen
