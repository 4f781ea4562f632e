"""What a compiled loop is made for: the optimizer's update, the penalty and how it is applied.

`benchmarks/step.py`, every row: one loop is compiled for each `Kind` that a model has.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from shrinkage.kernels.register_forms import ScalarForm


class Update(Enum):
    """The optimizer's own step in a loop."""

    SGD = "sgd"
    MOMENTUM = "sgd with momentum"
    ADAM = "adam"
    AMSGRAD = "adam with amsgrad"
    NONE = "no update, but the prox of sgd"  # torch has made the step already
    NONE_IN_METRIC = "no update, but the prox of adam"

    @property
    def makes_step(self) -> bool:
        """Whether the loop makes the optimizer's step."""
        return self not in (Update.NONE, Update.NONE_IN_METRIC)

    @property
    def is_adaptive(self) -> bool:
        """Whether the entries of a parameter have different steps."""
        return self in (Update.ADAM, Update.AMSGRAD, Update.NONE_IN_METRIC)


class How(StrEnum):
    """How a penalty is applied to the weights."""

    NONE = "none"
    COUPLED = "coupled"
    DECOUPLED = "decoupled"
    PROXIMAL = "proximal"


class Groups(StrEnum):
    """What a group penalty shrinks together."""

    NONE = "none"
    ROWS = "rows"
    COLUMNS = "columns"


class Kind(NamedTuple):
    """What a compiled loop is made for."""

    update: Update
    form: ScalarForm | None  # of a penalty of single entries
    how: How
    groups: Groups  # of a group penalty, which has no scalar form
    dtype: str  # of weights and gradients; under bfloat16 the state is float32

    @property
    def text(self) -> str:
        """The name of the kind; no two kinds have the same."""
        form = "none" if self.form is None else self.form.name
        return " ".join((self.update.name, form, self.how, self.groups, self.dtype))

    @property
    def has_adaptive_prox(self) -> bool:
        """Whether there is a prox and each entry has its own step in it."""
        return self.how == How.PROXIMAL and self.update.is_adaptive

    @property
    def is_half(self) -> bool:
        """Whether weights are stored as bfloat16 and computed in float32."""
        return self.dtype == "bfloat16"

    @property
    def has_second_pass(self) -> bool:
        """Whether the prox has its own loop after the update: one with a choice is long."""
        form = self.form
        return self.how == How.PROXIMAL and form is not None and form.choice is not None

    @property
    def needs_steps_later(self) -> bool:
        """Whether the prox reads the steps of entries after the update is done."""
        return self.has_adaptive_prox and (self.groups != Groups.NONE or self.has_second_pass)
