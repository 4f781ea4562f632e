"""The question of a study: one frozen specification, readable as TOML."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from shrinkage.penalties.base import terms
from shrinkage.penalties.text import normalized, parse, split_how
from shrinkage.study.errors import UsageError, nearest
from shrinkage.study.records import Trial

METHODS = (
    "none",
    "l2@coupled",
    "l2@decoupled",
    "l1@coupled",
    "l1@proximal",
    "elastic_net@proximal",
    "group_lasso@proximal",
)
STRENGTHS = "1e-5:1e-1:9"
TASKS = ("classes", "numbers")
PREFERENCES = ("score", "sparse")
MOST = {"seeds": 10_000, "strengths": 10_000, "epochs": 100_000_000, "batch": 1_000_000_000}
MOST_TRIALS = 1_000_000
LEAST, GREATEST = (float(end) for end in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


@dataclass(frozen=True)
class Study:
    """What is compared, on what, and how it is trained.

    Parameters
    ----------
    data : str
        A data set that comes with the library, or the path of a file (see `compare`).
    target, subject : str, optional
        Columns. The target is required where the data have none of their own; all rows of one
        subject stay in one part.
    task : "classes" or "numbers", optional
        By default judged by the target: text, truth values and few distinct integers are classes.
    methods : sequence of str
        "none", or a penalty's text and its way, "l1@proximal" or, with arguments but the strength,
        "group_lasso:groups=in@proximal". Without a way: proximal, which
        rests at the stated objective and gives exact zeros. "none" is always among them.
    strengths : sequence of float
        The grid for every method that does not state its own strength.
    seeds : int
        How many; each is another train/validation split and another initialization.
    model, optimizer : str
        "mlp:64", "mlp:64,32", "linear" or "package.module:function"; a name in `torch.optim`,
        perhaps with options: "sgd,momentum=0.9".
    lr, epochs : optional
        By default the optimizer's usual rate, and as many epochs as make some 400 steps.
    batch : int
        Rows in a step at most; smaller training parts are taken whole.
    test, validation : float
        Shares of the rows.
    prefer : "score" or "sparse"
        What is recommended: the best validation score, or of the models that come near to it the
        one with the most zeros.
    """

    data: str = "spiral"
    target: str | None = None
    subject: str | None = None
    task: str | None = None
    methods: tuple[str, ...] = METHODS
    strengths: tuple[float, ...] = ()
    seeds: int = 3
    model: str = "mlp:64"
    optimizer: str = "adam"
    lr: float | None = None
    epochs: int | None = None
    batch: int = 1024
    test: float = 0.25
    validation: float = 0.25
    prefer: str = "score"

    def __post_init__(self) -> None:
        grid = self.strengths or grid_from_text(STRENGTHS)
        _set(self, strengths=tuple(sorted({_strength(strength) for strength in grid})))
        for name in ("data", "target", "subject", "model", "optimizer"):
            _check_text(name, getattr(self, name))
        _set(self, methods=_methods(self.methods))
        if self.task is not None and self.task not in TASKS:
            raise UsageError(f"task must be classes or numbers, got {self.task!r}")
        check_preference(self.prefer)
        for name in ("seeds", "epochs", "batch"):
            _check_count(name, getattr(self, name))
        if self.lr is not None:
            if not (_is_number(self.lr) and 0 < self.lr < math.inf):
                raise UsageError(f"lr must be a number above 0, got {self.lr!r}")
            if self.lr < LEAST:
                raise UsageError(
                    f"lr must be at least {LEAST:.2g}, as float32 holds no less, got {self.lr!r}"
                )
        shares = (self.test, self.validation)
        if not all(_is_number(share) and 0 < share < 1 for share in shares) or sum(shares) >= 1:
            raise UsageError(f"test and validation must be shares with a sum below 1, got {shares}")
        count = self.seeds * sum(len(self.strengths_of(method)) for method in self.methods)
        if count > MOST_TRIALS:
            raise UsageError(
                f"methods, strengths and seeds make {count:,} trials: a study takes "
                f"{MOST_TRIALS:,} at the most; name fewer"
            )

    def trials(self) -> list[Trial]:
        """Every (method, strength, seed), the seeds outermost: early results cover the grid."""
        return [
            Trial(method, strength, seed)
            for seed in range(self.seeds)
            for method in self.methods
            for strength in self.strengths_of(method)
        ]

    def strengths_of(self, method: str) -> tuple[float, ...]:
        """The grid, or the one strength of a method that states its own; 0 for "none"."""
        if method == "none":
            return (0.0,)
        own = stated_strength(method)
        return self.strengths if own is None else (own,)

    def to_toml(self) -> str:
        """This specification as TOML; what is left to the default rules is left out."""
        fields = dataclasses.asdict(self)
        lines = [f"{key} = {_toml(value)}" for key, value in fields.items() if value is not None]
        return "\n".join(lines) + "\n"


def from_toml(text: str) -> Study:
    """The specification that `text` spells out, as `Study.to_toml` writes it.

    Raises
    ------
    UsageError
        For broken TOML, an unknown key (with the nearest), and whatever `Study` refuses.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the study file is not TOML: {error}") from None
    known = [field.name for field in dataclasses.fields(Study)]
    for key in values:
        if key not in known:
            raise UsageError(
                f"the study file has an unknown key {key!r}{nearest(key, known)} "
                f"(there are {', '.join(known)})"
            )
    if isinstance(values.get("strengths"), str):
        values["strengths"] = grid_from_text(values["strengths"])
    for key in ("methods", "strengths"):
        if key in values and not isinstance(values[key], list | tuple):
            raise UsageError(f"{key} must be a list, got {values[key]!r}")
        if values.get(key) == []:
            raise UsageError(f"{key} is empty: leave it out, or name at least one")
    return Study(**values)


def grid_from_text(text: str) -> tuple[float, ...]:
    """Strengths from "low:high:count", evenly spaced by ratio, or from "1e-4,1e-3"."""
    remedy = 'write low:high:count, as in "1e-5:1e-1:9", or a list, as in "1e-4,1e-3"'
    try:
        if ":" not in text:
            return tuple(_strength(float(part)) for part in text.split(","))
        low, high, count = (part.strip() for part in text.split(":"))
        ends = _strength(float(low)), _strength(float(high))
        number = int(count)
    except UsageError:
        raise
    except ValueError:
        raise UsageError(f"strengths {text!r} cannot be read: {remedy}") from None
    if number < 2 or ends[0] >= ends[1]:
        raise UsageError(f"strengths {text!r} must rise from low to high in 2 steps or more")
    _check_count("strengths", number)
    between = [float(f"{strength:.6g}") for strength in np.geomspace(*ends, number)[1:-1]]
    grid = (ends[0], *between, ends[1])
    if any(low >= high for low, high in pairwise(grid)):
        raise UsageError(f"strengths {text!r} lie too close together: name fewer")
    return grid


def stated_strength(method: str) -> float | None:
    """The strength a method's own text states, or None where the grid gives it.

    1 for constraints, which have none: they are tried once.

    Examples
    --------
    >>> stated_strength("l1:0.01@proximal"), stated_strength("l1 + l2:0.1@coupled")
    (0.01, None)
    >>> stated_strength("group_lasso:groups=in@proximal") is None
    True
    >>> stated_strength("max_norm:3@proximal")
    1.0
    """
    penalty, _ = split_how(method)
    try:
        stated = parse(penalty)
    except ValueError:
        return None
    return next((float(term.lam) for term in terms(stated) if hasattr(term, "lam")), 1.0)


def _methods(written: Sequence[str]) -> tuple[str, ...]:
    """The methods in one spelling, "none" first, each once."""
    checked = [_method(method) for method in written if method.strip().lower() != "none"]
    return ("none", *dict.fromkeys(checked))


def _method(written: str) -> str:
    """A method in its one spelling, with its way; refused unless its penalty can be built."""
    try:
        penalty, how = split_how(written)
        method = f"{normalized(penalty)}@{how or 'proximal'}"
    except (ValueError, TypeError) as error:
        raise UsageError(f"penalty {error}") from None
    for term in terms(parse(penalty, lam=1.0)):
        for number in vars(term).values():
            if isinstance(number, float) and number:
                _check_float32(f"penalty {method!r}: a number", number)
    return method


def _strength(value: object) -> float:
    if not _is_number(value) or not 0 < float(value) < math.inf:  # type: ignore[arg-type]
        raise UsageError(
            f"strengths must be numbers above 0 and finite, got {value!r} (none is always compared)"
        )
    _check_float32("strengths", float(value))  # type: ignore[arg-type]
    return float(value)  # type: ignore[arg-type]


def check_preference(prefer: object) -> None:
    """Refuse what is neither "score" nor "sparse"."""
    if prefer not in PREFERENCES:
        raise UsageError(f"prefer must be score or sparse, got {prefer!r}")


def _check_float32(name: str, value: float) -> None:
    """Refuse what float32 holds as infinity or as nothing."""
    if not LEAST <= abs(value) <= GREATEST:
        raise UsageError(
            f"{name} must lie between {LEAST:.2g} and {GREATEST:.2g}, what float32 holds, "
            f"got {value!r}"
        )


def _check_count(name: str, value: object) -> None:
    if value is None and name == "epochs":
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name} must be a whole number from 1 up, got {value!r}")
    if value > MOST[name]:
        raise UsageError(f"{name} must be at most {MOST[name]:,}, got {value}")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) and (value is not None or name not in ("target", "subject")):
        raise UsageError(f"{name} must be text, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _set(study: Study, **values: object) -> None:
    """Write fields of a frozen specification while it is being made."""
    for name, value in values.items():
        object.__setattr__(study, name, value)


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
