"""The interface of penalties on a model that does not depend on how they are applied."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shrinkage.torch.binding.bindings import Binding
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.lam_max import LossClosure, find_lam_max
from shrinkage.torch.binding.sparsity import Sparsity, copy_zeros, zeros_of
from shrinkage.torch.models.selection import Selected
from shrinkage.torch.schedules import Schedule


class Regularized:
    """The part of a `Regularizer` that optimizers and the audit use."""

    bound: BoundModel

    @property
    def model(self) -> nn.Module:
        """The model whose parameters are penalized."""
        return self.bound.model

    @property
    def selected(self) -> list[Selected]:
        """Each parameter of the model, with its penalty or the reason why it has none."""
        return self.bound.selected

    @property
    def bindings(self) -> list[Binding]:
        """Each penalty with the parameter or the parameters that it is bound to."""
        return self.bound.bindings

    @property
    def factor(self) -> float:
        """The number that multiplies every strength: 1 at first, then set by the schedule."""
        return self.bound.factor

    @factor.setter
    def factor(self, factor: float) -> None:
        self.bound.factor = factor

    @property
    def schedule(self) -> Schedule | None:
        """The function from the step to the factor."""
        return self.bound.schedule

    @schedule.setter
    def schedule(self, schedule: Schedule | None) -> None:
        self.bound.schedule = schedule

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """The penalized parameters that are not frozen, with their names."""
        return self.bound.named_parameters()

    def value(self) -> float:
        """factor·Ω(w) as a number, without a graph."""
        return self.bound.value()

    def sparsity(self) -> Sparsity:
        """Exact zeros per penalized parameter, and all-zero groups where its penalty has groups."""
        self.bound.refresh()
        self.bound.check_has_numbers()
        with torch.no_grad():
            zeros = {
                binding.name: zeros_of(binding.read_array(), binding.penalty)
                for binding in self.bound.bindings
            }
        return Sparsity(zeros)

    def hold_zeros(self) -> None:
        """Keep at 0 what is exactly 0 now, whatever optimizer steps it; no penalty acts meanwhile.

        This is the refit of "select, then refit": the weights that are left are trained without
        shrinkage. Strengths count as 0, and constraints go on holding. All members of a `Joint` are
        penalized, so the biases and gains of its dead units stay 0 too. The momentum of held
        weights is kept at 0. A second call holds what has become 0 since. Saved with `state_dict`,
        also within an optimizer's, and resumed with what is 0 in the weights that are loaded.

        Examples
        --------
        >>> import torch
        >>> from shrinkage import L1
        >>> from shrinkage.torch import Regularizer
        >>> model = torch.nn.Linear(2, 1)
        >>> _ = model.weight.data.copy_(torch.tensor([[0.0, 2.0]]))
        >>> regularizer = Regularizer(model, L1(0.5))
        >>> regularizer.hold_zeros()
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        >>> model(torch.ones(1, 2)).sum().backward()
        >>> optimizer.step()
        >>> model.weight.tolist()
        [[0.0, 1.5]]
        >>> regularizer.release()
        """
        self.bound.hold_zeros()

    def release(self) -> None:
        """Let zeros move again, and the penalty act; without `hold_zeros` before, do nothing.

        >>> from shrinkage import L1
        >>> from shrinkage.torch import Regularizer
        >>> regularizer = Regularizer(nn.Linear(2, 1), L1(0.5))
        >>> regularizer.hold_zeros()
        >>> regularizer.penalty().item()
        0.0
        >>> regularizer.release()
        """
        self.bound.release()

    def lam_max(self, loss_closure: LossClosure) -> float:
        """The strength from which on no penalized weight leaves zero.

        With g the data loss's gradient where penalized weights are 0 and the others are best:
        ``max|g|`` for `L1`, `MCP`, `SCAD` and `CappedL1`, that over ``l1_ratio`` for `ElasticNet`,
        times ``eps`` for `LogSum`, ``max_g ‖g_g‖₂/√p_g`` for `GroupLasso`, ``max_g ‖g_g‖₁`` for
        `LInf`; infinite for what makes no zeros. A grid of strengths goes down from here, as
        ``numpy.geomspace(lam_max, lam_max / 1000, 20)``. It is that of linear models, and of a
        network's first layer while the others stay as they are; where two layers in a row are
        penalized, zero is stationary at any strength.

        Parameters
        ----------
        loss_closure : callable
            Returns the data loss as a tensor, without `backward`; evaluated many times.

        Returns
        -------
        float
            The lam of the first penalty; several keep their ratio to it. Weights and gradients are
            as before.

        Raises
        ------
        TypeError
            If `loss_closure` is not callable, such as a loss that was calculated before.
        ValueError
            For a count such as `L0`, under which zero is a local minimum at any strength.

        Examples
        --------
        >>> import torch
        >>> from shrinkage import L1
        >>> from shrinkage.torch import Regularizer
        >>> model = torch.nn.Linear(1, 1)
        >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.0], [2.0]])
        >>> loss = lambda: (model(x) - y).square().mean() / 2
        >>> round(Regularizer(model, L1(1e-3)).lam_max(loss), 4)
        1.0
        """
        return find_lam_max(self.bound, loss_closure)

    def copy_zeros_to(self, averaged: nn.Module | Mapping[str, Tensor]) -> None:
        """Set to exactly 0 in a running average what is exactly 0 in the model: SWA, EMA.

        An average over steps is 0 only where the weight was 0 at every one of them, so it has
        hardly any zeros. The other entries of the average, and all that is not penalized, stay.

        Parameters
        ----------
        averaged : torch.nn.Module, or a mapping of parameter names to tensors
            Such as ``torch.optim.swa_utils.AveragedModel(model)``, timm's ``ModelEmaV3(model)``, or
            a state_dict of these. Changed in place.

        Raises
        ------
        ValueError
            If a penalized parameter has no counterpart of its name and shape; nothing is changed
            then.

        Examples
        --------
        >>> import torch
        >>> from shrinkage import L1
        >>> from shrinkage.torch import Regularizer
        >>> model = torch.nn.Linear(2, 1)
        >>> averaged = torch.optim.swa_utils.AveragedModel(model)
        >>> _ = model.weight.data.copy_(torch.tensor([[0.0, 2.0]]))
        >>> _ = averaged.module.weight.data.fill_(1.0)
        >>> Regularizer(model, L1(0.5)).copy_zeros_to(averaged)
        >>> averaged.module.weight.tolist()
        [[0.0, 1.0]]
        """
        self.bound.refresh()
        copy_zeros(self.bound, averaged)
