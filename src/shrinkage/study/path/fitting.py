"""Fit a path: from rows to points, shrunk or relaxed, a choice and its stability."""

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
from shrinkage.study.path.records import Point
from shrinkage.study.path.relaxing import relax
from shrinkage.study.path.rows import PathRows
from shrinkage.study.path.shrinking import Shrinker, parse_path_penalty
from shrinkage.study.path.walking import SPARSE_STEPS, Walk, find_kept, weigh_by_norm
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.summary import estimate_mean
from shrinkage.study.training.fit_trial import use_one_thread

DENSE_STEPS = 100  # without a penalty, before the first strength: more would overfit
FACTOR = 1.3  # from one strength to the next, at most
FINEST = 1.03  # the same, at least
MOST_LOST = 0.1  # the share of inputs that may leave at once; then the next strength is nearer
PILOT_SPAN = 300.0  # from the vanishing strength down to the first of the pilot path
SPAN = 10.0  # from the pilot's best strength down to the densest of the adaptive path
PATIENCE = 5  # strengths of the pilot without a better score
MOST_STRENGTHS = 100


@dataclass(frozen=True)
class FittedPath:
    """The points from the sparsest to the densest, the choice, and the weights it ends with."""

    points: tuple[Point, ...]
    best: int
    chosen: int
    stability: tuple[float, ...]  # of each input at the chosen strength; () without resamples
    inputs: tuple[str, ...]
    order: np.ndarray  # (columns,): the place in the encoded table of each column of `state`
    state: Parameters  # of the network that is recommended: (1, in, out) and (1, 1, out) in turn
    weights: tuple[Parameters, ...]  # of every network but the resamples', at each point


@dataclass(frozen=True, eq=False)
class _Candidate:
    """The networks at one strength, after so many steps without a penalty."""

    steps: int  # 0: as the penalty shrank them
    scores: list[float]  # of each seed, on its validation part
    parameters: Parameters

    @property
    def score(self) -> float:
        return estimate_mean(self.scores)[0]


@dataclass(frozen=True, eq=False)
class _Measurement:
    """The networks at one strength, the first of which is that of all rows."""

    strength: float
    kept: Tensor  # (S, inputs)
    norms: Tensor  # (S, inputs), of the shrunk networks
    shrunk: _Candidate
    step: Tensor  # (S, 1)


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
        self._validation = [torch.tensor(self._X[p], dtype=self.dtype) for p in rows.validations]

    def fit(self) -> FittedPath:
        """Walk along the strengths, relax the networks, choose a strength, and count resamples."""
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
        candidates = self._relax(walk, ordered)
        points = self._make_points(ordered, candidates)
        best, chosen = choose_points(points, self.metric)
        last = walked.index(ordered[chosen])
        strengths = [measurement.strength for measurement in walked[: last + 1]]
        return FittedPath(
            points=tuple(points),
            best=best,
            chosen=chosen,
            stability=self._count_resamples(pilot, strengths),
            inputs=self.inputs.names,
            order=self.inputs.order,
            state=[p[:1] for p in candidates[chosen].parameters],
            weights=tuple(candidate.parameters for candidate in candidates),
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
        best, length, at_best = -math.inf, 0, (descent.x, descent.step)
        for lam in walk.follow(descent, _rise(low), "dense"):
            passed.append(lam)
            kept, _ = find_kept(descent.x, walk)
            score = self.metric.gain(estimate_mean(self._validate(descent.x))[0])
            if score > best and bool(kept.any(dim=1).all()):
                best, length, at_best = score, len(passed), (descent.x, descent.step)
            if not bool(kept.any()) or len(passed) - length >= PATIENCE:
                break
        descent.restart(*at_best)
        return passed[: max(length, 1)]

    def _weigh(self, walk: Walk, descent: Descent) -> Walk:
        """The same walk with the strength on each input weighted by the present weights."""
        _, norms = find_kept(descent.x, walk)
        descent.restart(descent.x, descent.step)
        return replace(walk, factors=weigh_by_norm(norms, torch.tensor(self.inputs.widths)))

    def _measure(self, walk: Walk, descent: Descent, low: float) -> list[_Measurement]:
        """Every strength in the order of the walk, down to `low` or up to where nothing is left."""
        walked: list[_Measurement] = []
        strengths = _rise_past(low, walked)
        if self.start == "sparse":
            strengths = _fall(self._find_top(walk), low)
            descent = Descent(walk.initial)
        for lam in walk.follow(descent, strengths, self.start):
            kept, norms = find_kept(descent.x, walk)
            shrunk = _Candidate(0, self._validate(descent.x), descent.x)
            walked.append(_Measurement(lam, kept, norms, shrunk, descent.step))
            if self.start == "dense" and not bool(kept.any()):
                break
        return walked

    def _relax(self, walk: Walk, ordered: Sequence[_Measurement]) -> list[_Candidate]:
        """The better of the shrunk and the relaxed networks at each strength, by mean score.

        From the sparsest on, until the shrunk ones are better at five strengths in a row. Where
        most seeds' networks keep more inputs than the first, whose inputs are named, their
        relaxed score would flatter it, so that the shrunk one stands.
        """
        best: list[_Candidate] = []
        relaxed: list[_Candidate] = []
        worse = 0
        for place, measurement in enumerate(ordered):
            kept, shrunk = measurement.kept, measurement.shrunk
            counts = kept.sum(dim=1)
            if worse == PATIENCE or not bool(counts.all()) or counts[0] < counts[1:].median():
                relaxed = []
            elif not relaxed or not torch.equal(kept, ordered[place - 1].kept):
                pairs = relax(walk, shrunk.parameters, measurement.step)
                relaxed = [_Candidate(steps, self._validate(x), x) for steps, x in pairs]
            best.append(max([shrunk, *relaxed], key=lambda each: self.metric.gain(each.score)))
            if relaxed:
                worse = worse + 1 if best[-1] is shrunk else 0
        return best

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

    def _make_points(
        self, ordered: Sequence[_Measurement], candidates: Sequence[_Candidate]
    ) -> list[Point]:
        points: list[Point] = []
        for measurement, best in zip(ordered, candidates, strict=True):
            alive = measurement.kept[0].tolist()
            names = [n for n, keeps in zip(self.inputs.names, alive, strict=True) if keeps]
            before = points[-1].kept if points else ()
            score, error = estimate_mean(best.scores)
            points.append(
                Point(
                    strength=float(f"{measurement.strength:.6g}"),
                    kept=tuple(names),
                    entering=tuple(name for name in names if name not in before),
                    leaving=tuple(name for name in before if name not in names),
                    scores=tuple(best.scores),
                    counts=tuple(int(count) for count in measurement.kept[1:].sum(dim=1)),
                    score=score,
                    error=error,
                    norms=tuple(float(f"{norm:.6g}") for norm in measurement.norms[0].tolist()),
                    shrunk_score=measurement.shrunk.score,
                    relaxed_steps=best.steps,
                )
            )
        return points

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


def _rise_past(low: float, walked: Sequence[_Measurement]) -> Iterable[float]:
    """Strengths upwards, in smaller steps after one at which many inputs left."""
    lam, factor = low, FACTOR
    for _ in range(MOST_STRENGTHS):
        yield lam
        counts = [float(each.kept.double().sum(dim=1).mean()) for each in walked[-2:]]
        lost = counts[0] - counts[-1]
        if lost > max(MOST_LOST * counts[0], 1):
            factor = max(factor**0.5, FINEST)
        else:
            factor = min(factor**1.5, FACTOR)
        lam *= factor


def _fall(top: float, low: float) -> Iterable[float]:
    """Strengths from `top` down to `low`."""
    count = max(math.ceil(math.log(top / low, FACTOR)), 0) + 1
    return (top / FACTOR**k for k in range(min(count, MOST_STRENGTHS)))
