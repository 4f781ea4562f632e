"""Fit a path: from rows to points, a choice, its stability and its refit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from shrinkage.study.data.table import Table
from shrinkage.study.path.choosing import choose_points
from shrinkage.study.path.descent import Descent
from shrinkage.study.path.inputs import arrange_inputs
from shrinkage.study.path.networks import Parameters, gather_rows, initialize, predict
from shrinkage.study.path.records import Point, Refit
from shrinkage.study.path.rows import PathRows
from shrinkage.study.path.shrinking import Shrinker, parse_path_penalty
from shrinkage.study.path.walking import SPARSE_STEPS, Walk, find_kept, weigh_by_norm
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.summary import mean_and_error
from shrinkage.study.training.fit import use_one_thread

DENSE_STEPS = 100  # without a penalty, before the first strength: more would overfit
REFIT_STEPS = 200
FACTOR = 1.3  # from one strength to the next
PILOT_SPAN = 300.0  # from the vanishing strength down to the first of the pilot path
SPAN = 100.0  # from the pilot's best strength down to the densest of the adaptive path
PATIENCE = 5  # strengths of the pilot without a better score
MOST_STRENGTHS = 100


@dataclass(frozen=True)
class FittedPath:
    """The points from the sparsest to the densest, the choice, and the weights it ends with."""

    points: tuple[Point, ...]
    best: int
    chosen: int
    stability: tuple[float, ...]  # of each input at the chosen strength; () without resamples
    refit: Refit | None  # None where no input is kept
    inputs: tuple[str, ...]
    order: np.ndarray  # (columns,): the place in the encoded table of each column of `state`
    state: Parameters  # of the network that is recommended: (1, in, out) and (1, 1, out) in turn
    is_refit: bool  # whether that is the refit
    weights: tuple[Parameters, ...]  # of every network but the resamples', at each point


@dataclass(frozen=True, eq=False)
class _Measurement:
    """The networks at one strength, the first of which is that of all rows."""

    strength: float
    kept: Tensor  # (S, inputs)
    norms: Tensor  # (S, inputs)
    scores: list[float]
    parameters: Parameters


class PathFitter:
    """Trains the networks of one path: one on all rows, one for each seed, one for each resample.

    Those of the resamples follow when the choice is made, and only as far as the chosen strength.
    """

    def __init__(
        self, rows: PathRows, table: Table, study: Study, *, start: str, adaptive: bool
    ) -> None:
        self.rows, self.task, self.outputs = rows, table.task, table.outputs
        self.study, self.start, self.adaptive = study, start, adaptive
        self.metric = find_metric(study.metric, table.task)
        self.dtype = torch.float64 if study.model == "linear" else torch.float32
        self.inputs = arrange_inputs(rows.encoding.slices())
        self.shrinker = Shrinker(parse_path_penalty(study.methods[-1]), self.inputs)
        self._X = rows.rest.X[:, self.inputs.order]
        self._test = torch.tensor(rows.test.X[:, self.inputs.order], dtype=self.dtype)
        self._validation = [torch.tensor(self._X[p], dtype=self.dtype) for p in rows.validations]

    def fit(self) -> FittedPath:
        """Walk along the strengths, choose one, refit it, and count how stable it is."""
        with use_one_thread():  # small arrays: more threads wait for each other
            return self._fit()

    def _fit(self) -> FittedPath:
        seeds = self.study.seeds
        walk = self._make_walk(self.rows.fits[: 1 + seeds], [0, *range(seeds)])
        descent = self._begin(walk)
        pilot: list[float] = []
        top = walk.find_vanishing_strength()
        low = top / PILOT_SPAN
        if self.adaptive:
            pilot = self._find_pilot(walk, descent, low)
            walk = self._weigh(walk, descent)
            low = pilot[-1] / SPAN
        walked = self._measure(walk, descent, low)
        ordered = walked[::-1] if self.start == "dense" else walked
        points = self._make_points(ordered)
        best, chosen = choose_points(points, self.metric)
        last = walked.index(ordered[chosen])
        strengths = [measurement.strength for measurement in walked[: last + 1]]
        weights = ordered[chosen].parameters
        refit, refitted = self._refit(walk, points[chosen], weights)
        gain = self.metric.gain
        is_refit = refit is not None and gain(refit.score) > gain(points[chosen].score)
        return FittedPath(
            points=tuple(points),
            best=best,
            chosen=chosen,
            stability=self._count_resamples(pilot, strengths),
            refit=refit,
            inputs=self.inputs.names,
            order=self.inputs.order,
            state=[p[:1] for p in (refitted if is_refit else weights)],
            is_refit=is_refit,
            weights=tuple(measurement.parameters for measurement in ordered),
        )

    def _make_walk(self, rows: Sequence[np.ndarray], seeds: Sequence[int]) -> Walk:
        return Walk(
            batch=gather_rows(self._X, self.rows.rest.y, rows, self.task, self.dtype),
            shrinker=self.shrinker,
            initial=initialize(
                self.study.model, self.inputs.order, self.outputs, seeds, self.dtype
            ),
            factors=torch.ones(len(rows), len(self.inputs.names), dtype=self.dtype),
        )

    def _begin(self, walk: Walk) -> Descent:
        descent = Descent(walk.initial)
        if self.adaptive or self.start == "dense":
            walk.settle(descent, 0.0, DENSE_STEPS)
        return descent

    def _find_pilot(self, walk: Walk, descent: Descent, low: float) -> list[float]:
        """The strengths of the plain penalty, from dense to sparse, up to the best score.

        `descent` is left with the weights there.
        """
        passed: list[float] = []
        best, length, found = -math.inf, 0, (descent.x, descent.step)
        for lam in walk.follow(descent, _rise(low), "dense"):
            passed.append(lam)
            kept, _ = find_kept(descent.x, walk)
            score = self.metric.gain(mean_and_error(self._validate(descent.x))[0])
            if score > best and bool(kept.any(dim=1).all()):
                best, length, found = score, len(passed), (descent.x, descent.step)
            if not bool(kept.any()) or len(passed) - length >= PATIENCE:
                break
        descent.restart(*found)
        return passed[: max(length, 1)]

    def _weigh(self, walk: Walk, descent: Descent) -> Walk:
        """The same walk with the strength on each input weighted by the present weights."""
        _, norms = find_kept(descent.x, walk)
        descent.restart(descent.x, descent.step)
        return replace(walk, factors=weigh_by_norm(norms, torch.tensor(self.inputs.widths)))

    def _measure(self, walk: Walk, descent: Descent, low: float) -> list[_Measurement]:
        """Every strength in the order of the walk, down to `low` or up to where nothing is left."""
        strengths = _rise(low)
        if self.start == "sparse":
            strengths = _fall(self._find_top(walk), low)
            descent = Descent(walk.initial)
        walked: list[_Measurement] = []
        for lam in walk.follow(descent, strengths, self.start):
            kept, norms = find_kept(descent.x, walk)
            parameters = [parameter.clone() for parameter in descent.x]
            scores = self._validate(parameters)
            walked.append(_Measurement(lam, kept, norms, scores, parameters))
            if self.start == "dense" and not bool(kept.any()):
                break
        return walked

    def _find_top(self, walk: Walk) -> float:
        """A strength at which nothing is left: the one from the gradient, grown where needed."""
        top = walk.find_vanishing_strength()
        for _ in range(MOST_STRENGTHS):
            descent = Descent(walk.initial)
            walk.settle(descent, top, SPARSE_STEPS)
            if not bool(find_kept(descent.x, walk)[0].any()):
                break
            top *= FACTOR
        return top

    def _make_points(self, ordered: Sequence[_Measurement]) -> list[Point]:
        points: list[Point] = []
        for measurement in ordered:
            alive = measurement.kept[0].tolist()
            names = [n for n, keeps in zip(self.inputs.names, alive, strict=True) if keeps]
            before = points[-1].kept if points else ()
            score, error = mean_and_error(measurement.scores)
            points.append(
                Point(
                    strength=float(f"{measurement.strength:.6g}"),
                    kept=tuple(names),
                    entering=tuple(name for name in names if name not in before),
                    leaving=tuple(name for name in before if name not in names),
                    scores=tuple(measurement.scores),
                    counts=tuple(int(count) for count in measurement.kept[1:].sum(dim=1)),
                    score=score,
                    error=error,
                    norms=tuple(float(f"{norm:.6g}") for norm in measurement.norms[0].tolist()),
                )
            )
        return points

    def _refit(
        self, walk: Walk, point: Point, weights: Parameters
    ) -> tuple[Refit | None, Parameters]:
        """Train on without a penalty, while the dropped inputs stay dropped."""
        if not point.kept:
            return None, weights
        mask = (weights[0] != 0).any(dim=2, keepdim=True)
        descent = Descent(weights)
        replace(walk, batch=walk.batch.drop_inputs(mask)).settle(descent, 0.0, REFIT_STEPS)
        scores = self._validate(descent.x)
        outputs = predict([p[:1] for p in descent.x], self._test[None])[0]
        test = self._score(outputs, self.rows.test.y)
        return Refit(tuple(scores), *mean_and_error(scores), test), descent.x

    def _count_resamples(
        self, pilot: Sequence[float], strengths: Sequence[float]
    ) -> tuple[float, ...]:
        """The share of resamples whose network keeps each input at the last of `strengths`."""
        halves = self.rows.fits[1 + self.study.seeds :]
        if not halves:
            return ()
        walk = self._make_walk(halves, range(len(halves)))
        descent = self._begin(walk)
        for _ in walk.follow(descent, pilot, "dense"):
            pass
        if self.adaptive:
            walk = self._weigh(walk, descent)
        if self.start == "sparse":
            descent = Descent(walk.initial)
        for _ in walk.follow(descent, strengths, self.start):
            pass
        kept, _ = find_kept(descent.x, walk)
        return tuple(kept.double().mean(dim=0).tolist())

    def _validate(self, parameters: Parameters) -> list[float]:
        """The score of each seed's network on its validation part."""
        return [
            self._score(
                predict([p[seed + 1 : seed + 2] for p in parameters], X[None])[0],
                self.rows.rest.y[self.rows.validations[seed]],
            )
            for seed, X in enumerate(self._validation)
        ]

    def _score(self, outputs: Tensor, y: np.ndarray) -> float:
        prediction = predict_from_outputs(outputs.numpy(), self.task)
        return self.metric.score(y, prediction, self.rows.rest.scale)


def _rise(low: float) -> Iterable[float]:
    """Strengths upwards, until who takes them stops."""
    return (low * FACTOR**k for k in range(MOST_STRENGTHS))


def _fall(top: float, low: float) -> Iterable[float]:
    """Strengths from `top` down to `low`."""
    count = max(math.ceil(math.log(top / low, FACTOR)), 0) + 1
    return (top / FACTOR**k for k in range(min(count, MOST_STRENGTHS)))
