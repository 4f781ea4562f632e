# %% [markdown]
# # Six ways side by side
#
# <!-- tests: slow -->
#
# "Weight decay" has many meanings. The fastest way to tell them apart is a sandbox: two weights, no
# data at all, and one step. Whatever moves a weight then is the regularization itself.
#
# The weights are 1 and −1.5, the learning rate and the strength both 0.1.

# %%
from shrinkage.torch.sandbox import sandbox

traces = {trace.way: trace for trace in sandbox((1.0, -1.5), strength=0.1, lr=0.1, steps=200)}
SIX = [
    "SGD weight_decay: L2 coupled, with ½",
    "SGDW: L2 decoupled, not scaled by lr",
    "L2 in the loss",
    "SGDW weight_norm=1: L1 decoupled, not scaled by lr",
    "L1 in the loss",
    "torch_optimizer's SGDW 0.3.0: a constant shift",
]
for way in SIX:
    first, second = traces[way].paths[1]
    print(f"{way:<52} {first:.3f} {second:.3f}")

# %% [markdown]
# Six ways, and six different answers. In words:
#
# 1. **SGD's `weight_decay`** adds `c·w` to the gradient, which is an L2 penalty with a ½. The step
#    takes lr·c·w, here a hundredth of each weight.
# 2. **Decoupled decay that the learning rate does not scale** takes c·w: a tenth, ten times as much
#    for the same numbers. Which of the two is meant decides what a strength of 0.1 is.
# 3. **L2 in the loss**, without ½, takes 2·lr·lam·w: twice the first.
# 4. **Decoupled L1** takes the same amount from each weight, and stops at zero.
# 5. **L1 in the loss** does the same through the gradient, scaled by the learning rate. It does not
#    stop at zero.
# 6. The last one moves *both* weights **down**. The negative weight grows. It is no penalty at all:
#    it subtracts a constant, whatever the sign of the weight, as one released optimizer does.
#
# ## Many steps
#
# One step shows the rule, many show where it leads.

# %%
import numpy as np
import plotly.graph_objects as go

COLOURS = ["#1a74ba", "#5fb3e6", "#1b9b7c", "#e0622a", "#c38d12", "#c066a5"]
clear, grid = "rgba(0,0,0,0)", {"gridcolor": "rgba(128,128,128,0.2)"}
figure = go.Figure()
for way, colour in zip(SIX, COLOURS, strict=True):
    for weight, path in enumerate(np.array(traces[way].paths).T):
        figure.add_scatter(
            x=np.arange(0, 201, 4),
            y=path[::4].round(4),
            name=way,
            legendgroup=way,
            showlegend=weight == 0,
            line={"color": colour, "width": 2},
        )
figure.update_layout(
    template="none", height=460, paper_bgcolor=clear, plot_bgcolor=clear, font_color="#80858c"
)
figure.update_layout(legend={"orientation": "h", "y": -0.25})
figure.update_xaxes(title_text="step", **grid)
figure.update_yaxes(title_text="weight", range=[-2.1, 1.2], **grid)

# %% [markdown]
# ## Let the library find the rule
#
# One does not need to read an optimizer's code to know which of these it is. `probe` steps it with
# and without its decay, from different weights, learning rates and strengths, and writes down the
# rule that explains what it saw.

# %%
import torch

from shrinkage.torch import probe

sgd, adam, adamw = (probe(kind) for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW))
for law in (sgd, adam, adamw):
    print(law)

# %% [markdown]
# A law shows itself as a table, and `plot()` draws it: how much a weight of each size changes in
# one step, and where weights go.

# %%
adamw

# %%
adamw.plot()
