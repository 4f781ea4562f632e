"""Dense networks in NumPy without their dead units: no torch is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray
Layer = tuple[Array, Array, Callable[[Array], Array]]  # weights (inputs, units), biases, activation


def compact_dense(layers: Sequence[Layer]) -> list[Layer]:
    r"""Return the same function from fewer hidden units.

    Layer i computes :math:`x_{i+1} = \varphi_i(x_i W_i + b_i)`. A hidden unit whose column of
    :math:`W_i` is 0 is the constant :math:`\varphi_i(b)`, which goes into the biases of the next
    layer; one whose row of :math:`W_{i+1}` is 0 goes as it is. A layer keeps at least one unit.

    Parameters
    ----------
    layers : sequence of (weights, biases, activation)
        Weights (inputs, units), biases (units,) or (1, units), and a function that treats every
        entry alike. Softmax may only be the last.

    Returns
    -------
    list of (weights, biases, activation)
        New arrays; inputs and outputs are as many as before.

    Examples
    --------
    >>> first = (np.array([[1.0, 0.0, 2.0]]), np.array([0.0, 3.0, 0.0]), np.tanh)
    >>> last = (np.array([[1.0], [1.0], [0.0]]), np.array([0.5]), np.positive)
    >>> (weights, _, _), (_, biases, _) = compact_dense([first, last])
    >>> weights, biases.round(4)  # tanh(3) went into the bias
    (array([[1.]]), array([1.4951]))
    """
    small = [(weights.copy(), biases.copy(), activation) for weights, biases, activation in layers]
    for number in range(1, len(small)):  # constants go forward
        (weights, biases, activation), (following, added, phi) = small[number - 1 : number + 1]
        is_dead: Array = ~np.asarray(weights.any(axis=0))
        constants = np.where(is_dead, activation(biases).reshape(-1), 0.0)
        small[number] = following * ~is_dead[:, None], added + constants @ following, phi
    for number in range(len(small) - 1, 0, -1):  # what nothing reads goes backward
        (weights, biases, activation), (following, added, phi) = small[number - 1 : number + 1]
        kept: Array = np.asarray(following.any(axis=1))
        kept[0] |= not kept.any()
        small[number] = following[kept], added, phi
        small[number - 1] = weights[:, kept], biases[..., kept], activation
    return small
