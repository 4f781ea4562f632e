# %% [markdown]
# # L1 and L2 by hand
#
# A penalty is a number that grows with the weights. Training that makes *data loss + penalty* small
# keeps the weights small as well. This page calculates the two oldest penalties by hand, first in
# NumPy and then on a PyTorch model, and compares each with the library.
#
# ## In NumPy
#
# L1 adds up the sizes of the weights, L2 their squares. Both are multiplied by a strength, which is
# called `lam` here, since `lambda` is a word of Python.

# %%
import numpy as np

weights = np.array([1.0, -2.0, 3.0, -4.0])
lam = 0.5

l1 = lam * np.abs(weights).sum()
l2 = lam * np.square(weights).sum()
print(f"L1: {l1}, L2: {l2}")

# %% [markdown]
# The library has a class for each. A penalty is a function of an array; printed, it says its
# formula.

# %%
from shrinkage import L1, L2

assert L1(lam)(weights) == l1
assert L2(lam)(weights) == l2
L1(lam)

# %% [markdown]
# ## What they do to a weight
#
# The value of a penalty is only half of the story. Gradient descent follows its **gradient**. That
# of L1 is `lam` for each positive weight and `−lam` for each negative one: large and small weights
# are moved by the same amount. That of L2 is `2·lam·w`: the larger a weight, the more it is moved,
# and one near zero hardly at all.

# %%
print("gradient of L1:", L1(lam).gradient(weights))
print("gradient of L2:", L2(lam).gradient(weights))

# %% [markdown]
# The **prox** is a step that takes the penalty seriously near its kink. It answers: which point is
# near the old weights *and* has a small penalty? For L1 it moves each weight towards zero by
# `step·lam` and stops there, so that small weights become exactly zero. For L2 it divides all
# weights by one number, so that none becomes zero.

# %%
small = np.array([0.3, -0.7, 1.5])
print("prox of L1:", L1(lam).prox(small, step=1.0))
print("prox of L2:", L2(lam).prox(small, step=1.0))

# %% [markdown]
# The picture shows all of this. On the left is the penalty of one weight. In the middle is the
# prox: the flat part around zero is where weights become exactly zero. On the right are all pairs
# of weights with a penalty of at most one. L1's diamond has its corners on the axes, where one of
# the weights is zero, and that is where solutions like to end.

# %%
L1(lam).plot()

# %%
L2(lam).plot()

# %% [markdown]
# ## On a PyTorch model
#
# A model has many weights in many layers, and biases. By hand, the penalty is a sum over its
# parameters. Here is a model with four weights, all of them 2.

# %%
import torch
from torch import nn

model = nn.Linear(4, 1, bias=False)
nn.init.constant_(model.weight, 2.0)

by_hand = {
    "L1": sum(parameter.abs().sum().item() for parameter in model.parameters()),
    "L2": sum(parameter.square().sum().item() for parameter in model.parameters()),
}
print(by_hand)

# %% [markdown]
# A `Regularizer` binds a penalty to a model. It takes the weights and leaves biases alone, and its
# `penalty()` is a tensor that can be added to a loss. Printed, it says which parameter has what.

# %%
from shrinkage.torch import Regularizer

regularizer = Regularizer(model, L1(0.5))
assert regularizer.penalty().item() == 0.5 * by_hand["L1"]
assert Regularizer(model, L2(0.25)).penalty().item() == 0.25 * by_hand["L2"]
regularizer

# %% [markdown]
# ## With and without ½
#
# PyTorch's `weight_decay=c` stands for ½·c·Σw², with a ½ that the formula above does not have. The
# library writes that down: `L2.from_weight_decay(c)` is `L2(c / 2)`. The two runs below differ in
# nothing else, and end at the same weights.


# %%
def train(penalty, weight_decay):
    """Ten steps of gradient descent from the same weights on the same data."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1, dtype=torch.float64)
    inputs = torch.randn(20, 3, dtype=torch.float64)
    targets = inputs.sum(dim=1, keepdim=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=weight_decay)
    regularizer = Regularizer(model, penalty, on="all")  # weight_decay reaches biases, too
    for _ in range(10):
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square().mean() + regularizer.penalty()
        loss.backward()
        optimizer.step()
    return model.weight.detach().numpy()


with_decay = train(L2(0.0), weight_decay=0.1)
with_penalty = train(L2.from_weight_decay(0.1), weight_decay=0.0)
print(with_decay)
print(with_penalty)
np.testing.assert_allclose(with_decay, with_penalty, rtol=1e-12)

# %% [markdown]
# This holds for plain gradient descent, with momentum or without. Under Adam `weight_decay` and an
# L2 in the loss also agree with each other, but there they act on each weight differently: see
# [what people get wrong](what-people-get-wrong.md).
