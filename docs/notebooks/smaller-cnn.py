# %% [markdown]
# # From sparsity to a smaller network
#
# <!-- tests: slow -->
#
# Zeros in a weight matrix save nothing by themselves: the matrix is as large as before. If *whole
# channels* are zero, they can be taken out, and what is left is a smaller network of the same kind.
# This page trains a small convolutional network on pictures of digits, asks for half of its
# channels to be zero, and removes them.

# %%
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

pictures, labels = load_digits(return_X_y=True)
pictures = torch.tensor(pictures, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
labels = torch.tensor(labels)
train, test = slice(0, 1400), slice(1400, None)

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1, bias=False),
    nn.ReLU(),
    nn.Conv2d(24, 32, 3, padding=1, bias=False),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 16, 10),
)

# %% [markdown]
# ## Ask for a share of zeros
#
# A channel's weights are one group. Under `GroupL0` with a target, each step on the ramp sets the
# least important channels to zero, more and more of them, until the share that was asked for is
# reached. From then on they stay zero, and the rest of the training adapts the others. The
# convolutions have no biases, so a channel whose weights are zero is zero everywhere.

# %%
from shrinkage import GroupL0
from shrinkage.torch import Regularizer

optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
regularizer = Regularizer(model, GroupL0(1.0), on=["0.weight", "2.weight"])
shares = {"0.weight": 0.5, "2.weight": 0.5}  # of each layer
regularizer.attach(optimizer, how="proximal", target=shares, target_start=44, target_steps=110)


def accuracy(model):
    """The share of test pictures whose digit is found."""
    with torch.no_grad():
        return (model(pictures[test]).argmax(dim=1) == labels[test]).float().mean().item()


order = torch.Generator().manual_seed(0)
steps, zeros, scores = [], [], []
for epoch in range(14):
    for batch in torch.randperm(1400, generator=order).split(64):
        optimizer.zero_grad()
        cross_entropy(model(pictures[batch]), labels[batch]).backward()
        optimizer.step()
    counted = regularizer.sparsity().parameters.values()
    steps.append(22 * (epoch + 1))
    zeros.append(sum(each.dead_groups for each in counted) / sum(each.groups for each in counted))
    scores.append(accuracy(model))

# %% [markdown]
# The line of zeros follows the ramp. The accuracy on test pictures hardly notices.

# %%
import plotly.graph_objects as go

clear, grid = "rgba(0,0,0,0)", {"gridcolor": "rgba(128,128,128,0.2)"}
figure = go.Figure()
figure.add_scatter(x=steps, y=zeros, name="channels that are zero", line_color="#e0622a")
figure.add_scatter(x=steps, y=scores, name="test accuracy", line_color="#1a74ba")
figure.update_layout(
    template="none", height=330, paper_bgcolor=clear, plot_bgcolor=clear, font_color="#80858c"
)
figure.update_xaxes(title_text="step", **grid).update_yaxes(range=[0, 1.05], **grid)

# %%
regularizer.sparsity()

# %% [markdown]
# ## Take them out
#
# `compact` removes what has no effect, checks that both models give the same outputs, and reports
# layer by layer.

# %%
from shrinkage.compact import compact

regularizer.detach()
small = compact(model, pictures[:16], time_it=False)
small.report

# %%
before, after = accuracy(model), accuracy(small.model)
assert before == after
print(f"the same accuracy: {before == after}")
print(
    "layers of the small model:", [tuple(p.shape) for p in small.model.parameters() if p.dim() > 1]
)

# %% [markdown]
# The small model is an ordinary `nn.Sequential`: it can be saved, exported and trained further like
# any other. The share that may go depends on the task. Try three quarters of each layer, and one
# share over both (`target=0.5`), which may take more of one layer than of the other.
