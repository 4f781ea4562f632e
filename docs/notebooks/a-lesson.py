# %% [markdown]
# # A lesson on L1 and L2
#
# For a class of an hour and a half. Each part has a question to discuss first, something to run,
# and an exercise whose answer is folded away below it. No more than high-school algebra is needed
# until part 4.
#
# ## 1. Why would smaller weights be better?
#
# *Discuss: ten points lie near a line, with some noise. What does a curve look like that goes
# through all of them? What are its coefficients like?*
#
# We draw ten points near a line, and fit a polynomial with ten coefficients, once without a penalty
# and once with L2.

# %%
import numpy as np
import plotly.graph_objects as go

from shrinkage import L1, L2
from shrinkage.linear import solve

rng = np.random.default_rng(3)
x = np.linspace(-1, 1, 10)
y = 0.8 * x + 0.25 * rng.standard_normal(10)


def powers(x):
    """x, x², ..., x⁹ as columns."""
    return np.stack([x**power for power in range(1, 10)], axis=1)


fine = np.linspace(-1, 1, 121)
figure = go.Figure()
figure.add_scatter(
    x=x.round(3), y=y.round(3), mode="markers", name="points", marker_color="#80858c"
)
for name, lam, colour in (("no penalty", 1e-12, "#e0622a"), ("L2(0.01)", 0.01, "#1a74ba")):
    fit = solve(powers(x), y, L2(lam))
    curve = powers(fine) @ fit.weights[:, 0] + fit.intercepts[0]
    figure.add_scatter(x=fine.round(3), y=curve.round(3), name=name, line_color=colour)
    print(f"{name:<11} largest coefficient {np.abs(fit.weights).max():.2f}")
clear, grid = "rgba(0,0,0,0)", {"gridcolor": "rgba(128,128,128,0.2)"}
figure.update_layout(
    template="none", height=330, paper_bgcolor=clear, plot_bgcolor=clear, font_color="#80858c"
)
figure.update_xaxes(**grid).update_yaxes(range=[-2, 2], **grid)

# %% [markdown]
# A wild curve needs large coefficients that nearly cancel. A penalty on their size makes such a
# curve expensive.
#
# **Exercise 1.** Which strength of L2 would you choose here by eye? Try `1e-4`, `0.01` and `1`.
#
# ??? note "What to look for"
#     With 1e-4 the curve still follows the noise. With 1 it is too flat: the line's own slope is
#     taken away as well. A penalty does not know which part of the data is noise.
#
# ## 2. One weight
#
# *Discuss: a single weight would be 2 if the data alone decided. We add `lam·|w|` or `lam·w²`.
# Where does it end?*
#
# The loss is ½(w − 2)². For L2 the minimum is 2/(1 + 2·lam): it is divided. For L1 it is 2 − lam,
# and zero from lam = 2 on: something is subtracted. The prox of a penalty is exactly this minimum.

# %%
for lam in (0.5, 1.0, 2.0, 3.0):
    start = np.array([2.0])
    l1, l2 = L1(lam).prox(start, step=1.0)[0], L2(lam).prox(start, step=1.0)[0]
    print(f"lam {lam}:  L1 ends at {l1:.2f}, L2 at {l2:.2f}")

# %% [markdown]
# **Exercise 2.** From which strength on does L2 make the weight zero?
#
# ??? note "Answer"
#     From none: 2/(1 + 2·lam) is above zero for every lam.
#
# ## 3. Two weights: why corners matter
#
# *Discuss: on the pictures below, the blue area holds all pairs of weights with a penalty of at
# most one. Imagine a valley somewhere outside. Which point of the area is nearest to its bottom?*

# %%
L1(1.0).plot()

# %%
L2(1.0).plot()

# %% [markdown]
# A circle can be touched anywhere. A diamond is touched mostly at its corners, and there one weight
# is zero.
#
# **Exercise 3.** Draw the same for `L1(0.5) + L2(0.5)`. Does its curve have corners?

# %%
(L1(0.5) + L2(0.5)).plot()

# %% [markdown]
# ??? note "Answer"
#     Yes: its sides are round, its corners are still there. This *elastic net* makes zeros, and
#     treats inputs that go together more evenly than L1 alone.
#
# ## 4. Many weights
#
# *Discuss: of thirty inputs five matter. Which penalty finds them?*

# %%
inputs = rng.standard_normal((100, 30))
truth = np.zeros(30)
truth[:5] = [2.0, -1.5, 1.0, 1.0, -0.5]
answers = inputs @ truth + 0.5 * rng.standard_normal(100)

for penalty in (L1(0.1), L2(0.1)):
    weights = solve(inputs, answers, penalty).weights[:, 0]
    kept = np.flatnonzero(weights)
    right = np.isin(range(5), kept).sum()
    print(f"{penalty!r:<22} {len(kept)} weights are not zero, {right} of the 5")

# %% [markdown]
# **Exercise 4.** The weights that L1 keeps are too small, by about lam each. Why? How could one
# repair that?
#
# ??? note "Answer"
#     L1 subtracts from every weight, also from the ones that matter. Fit the kept inputs once more
#     without a penalty, or use a penalty that stops pulling at large weights: try `MCP(0.1)`.

# %%
from shrinkage import MCP

weights = {
    "truth": truth[:5],
    "L1": solve(inputs, answers, L1(0.1)).weights[:5, 0],
    "MCP": solve(inputs, answers, MCP(0.1)).weights[:5, 0],
}
for name, values in weights.items():
    print(f"{name:<6}", "  ".join(f"{value:5.2f}" for value in values))

# %% [markdown]
# ## 5. To take home
#
# - L2 divides, L1 subtracts. So L1 makes zeros, and L2 does not.
# - A penalty trades a worse fit on the data at hand for, one hopes, a better one on the next data.
#   Only data that were held back can say whether it does: see [choosing a
#   strength](choosing-a-strength.md).
# - In deep learning the optimizer decides whether zeros come out exact: see [what people get
#   wrong](what-people-get-wrong.md).
