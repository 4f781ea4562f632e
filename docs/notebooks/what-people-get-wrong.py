# %% [markdown]
# # What people get wrong
#
# <!-- tests: slow -->
#
# A penalty is three lines of code, and each of them can go wrong without an error. Here are six of
# the usual mistakes, each run beside the right way.

# %%
import torch
from torch import nn

from shrinkage import L1, L2, GroupLasso
from shrinkage.torch import Regularizer, audit

torch.manual_seed(0)
inputs = torch.randn(64, 5)
targets = inputs[:, :1] - 0.5 * inputs[:, 1:2]


def make_model():
    """The same small network every time."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 1))


# %% [markdown]
# ## 1. The penalty as a number
#
# A number has no memory of how it was calculated. If the penalty is turned into one, with `.item()`
# or `float`, the loss is larger and the gradients are the same as before: nothing is regularized.

# %%
model = make_model()
number = sum(parameter.square().sum().item() for parameter in model.parameters())
(0 * model(inputs).sum() + number).backward()
print("largest gradient, penalty as a number:", float(model[0].weight.grad.abs().max()))

model = make_model()
(0 * model(inputs).sum() + Regularizer(model, L2(1.0)).penalty()).backward()
print(f"largest gradient, penalty as a tensor: {float(model[0].weight.grad.abs().max()):.4f}")

# %% [markdown]
# ## 2. The norm in place of its square
#
# `w.norm(2)` is the length √Σw² and not Σw². The length pulls every weight matrix with the same
# force, however small it has become; its square pulls less and less. Both are useful, as different
# penalties: the square is `L2`, the length of groups is `GroupLasso`.

# %%
for scale in (1.0, 0.1, 0.01):
    w = scale * torch.ones(1, 4)
    square, length = L2(1.0).gradient(w), GroupLasso(1.0, weight="none").gradient(w)
    print(f"weights {scale:<5} pull of L2: {float(square.norm()):.2f}   ", end="")
    print(f"pull of the length: {float(length.norm()):.2f}")

# %% [markdown]
# ## 3. The norm of zeros
#
# The derivative of a length at zero does not exist. Autograd divides zero by zero there, and one
# NaN spreads through the whole model. The library takes the subgradient 0, so weights at zero rest.

# %%
w = torch.zeros(3, requires_grad=True)
w.square().sum().sqrt().backward()
print("by hand:      ", w.grad)
print("by the library:", GroupLasso(1.0).gradient(torch.zeros(3)))

# %% [markdown]
# ## 4. One graph for many steps
#
# A penalty that is calculated once, before the loop, belongs to the weights of that moment. The
# second `backward()` fails, as the graph is gone. `penalty()` builds a fresh graph each time it is
# called.

# %%
model = make_model()
once = sum(parameter.square().sum() for parameter in model.parameters())
try:
    for _ in range(2):
        once.backward()
except RuntimeError as error:
    print(str(error)[:61])

regularizer = Regularizer(model, L2(1e-3))
for _ in range(2):
    regularizer.penalty().backward()
print("a fresh graph at each call: no error")

# %% [markdown]
# ## 5. Biases, too
#
# `model.parameters()` has the biases as well. Pulling a bias to zero makes no function simpler; it
# only moves it. A `Regularizer` takes the weights, and says so.

# %%
Regularizer(make_model(), L2(1e-3))

# %% [markdown]
# ## 6. L1 in the loss, and waiting for zeros
#
# The gradient of L1 has one size on either side of zero. A weight that should be zero is pushed
# across, pushed back, and so on. It comes near zero and is never there. A prox after each step
# stops at zero.


# %%
def count_zeros(how):
    """Exact zeros after 400 steps of Adam with L1."""
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    regularizer = Regularizer(model, L1(0.02))
    if how != "loss":
        regularizer.attach(optimizer, how=how)
    for _ in range(400):
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square().mean()
        if how == "loss":
            loss = loss + regularizer.penalty()
        loss.backward()
        optimizer.step()
    return regularizer.sparsity()


in_the_loss, proximal = count_zeros("loss"), count_zeros("proximal")
print(f"in the loss: {in_the_loss.zeros} of {in_the_loss.entries} weights are exactly zero")
print(f"proximal:    {proximal.zeros} of {proximal.entries} weights are exactly zero")
assert in_the_loss.zeros < proximal.zeros

# %%
proximal

# %% [markdown]
# ## Let the audit look
#
# Some of these mistakes can be seen before training. `audit` reads a model and its optimizer, says
# how fast each weight decays, and what to mend.

# %%
model = make_model()
audit(model, torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01), steps=1000)
