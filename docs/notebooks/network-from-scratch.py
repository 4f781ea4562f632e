# %% [markdown]
# # A network from scratch
#
# <!-- tests: slow -->
#
# `shrinkage.scratch` is a neural network in plain NumPy, without a framework: layers that can be
# read in one sitting, each with a `forward` and a `backward`. This page builds one, trains it on a
# spiral, and looks at what a penalty changes.
#
# ## The data
#
# Three arms wind around a centre. No straight line separates them.

# %%
import numpy as np
import plotly.graph_objects as go

from shrinkage.scratch import spiral

X, y = spiral(200, 3, rng=0)
fresh_X, fresh_y = spiral(200, 3, rng=1)  # to see what the network has learned
COLOURS = ["#1a74ba", "#e0622a", "#1b9b7c"]


def draw_points(figure, X, y):
    """The points in the colours of their arms."""
    for arm, colour in enumerate(COLOURS):
        points = X[y == arm].round(3)
        marker = {"color": colour, "size": 4}
        figure.add_scatter(x=points[:, 0], y=points[:, 1], mode="markers", marker=marker)
    return figure.update_layout(template="none", height=360, width=380, showlegend=False)


def make_figure():
    """An empty figure that can be read on light and dark pages."""
    clear, grid = "rgba(0,0,0,0)", {"gridcolor": "rgba(128,128,128,0.2)", "zeroline": False}
    figure = go.Figure()
    figure.update_layout(paper_bgcolor=clear, plot_bgcolor=clear, font_color="#80858c")
    return figure.update_xaxes(grid).update_yaxes(grid)


draw_points(make_figure(), X, y)

# %% [markdown]
# ## The pieces
#
# A `Dense` layer multiplies by weights and adds biases. It may have a penalty on each. A forward
# pass goes through the layers in order; the loss at the end compares with the right answers.

# %%
from shrinkage import L1, L2
from shrinkage.scratch import Adam, Dense, Network, ReLU, SoftmaxCategoricalCrossEntropy

hidden = Dense(2, 64, weight_penalty=L2(5e-4), bias_penalty=L2(5e-4), rng=0)
activation = ReLU()
output = Dense(64, 3, rng=1)
loss = SoftmaxCategoricalCrossEntropy()

hidden.forward(X)
activation.forward(hidden.output)
output.forward(activation.output)
print(f"data loss before training: {loss.forward(output.output, y):.4f}")
print(f"log(3), for a guess among three: {np.log(3):.4f}")

# %% [markdown]
# ## Backward, and what the penalty adds
#
# The backward pass carries derivatives from the loss to each layer. The data give each weight one
# derivative; the penalty adds its own: for L2 it is `2·lam·w`. The check below takes the penalty
# away and looks at the difference.

# %%
loss.backward(loss.output, y)
output.backward(loss.dinputs)
activation.backward(output.dinputs)
hidden.backward(activation.dinputs)
with_penalty = hidden.dweights.copy()

hidden.weight_penalty = None
hidden.backward(activation.dinputs)
np.testing.assert_allclose(with_penalty - hidden.dweights, 2 * 5e-4 * hidden.weights, atol=1e-15)
print("the penalty's part of the derivative is 2·lam·w")

# %% [markdown]
# ## Training
#
# `Network` puts layers, a loss and an optimizer together, and `fit` repeats: forward, backward,
# step. Three networks start from the same weights: one without a penalty, one with L2, and one with
# L1 that is applied as a prox after each step.


# %%
def train(penalty, how="coupled"):
    """A network with this penalty on its weights, trained."""
    network = Network(
        [Dense(2, 64, weight_penalty=penalty, how=how, rng=0), ReLU(), Dense(64, 3, rng=1)],
        loss=SoftmaxCategoricalCrossEntropy(),
        optimizer=Adam(lr=0.05, decay=5e-7),
    )
    history = network.fit(X, y, epochs=1500)
    return network, history


networks = {
    "no penalty": train(None),
    "L2(5e-4)": train(L2(5e-4)),
    "L1(3e-4), proximal": train(L1(3e-4), how="proximal"),
}
for name, (network, _) in networks.items():
    fresh = network.evaluate(fresh_X, fresh_y)["accuracy"]
    zeros = np.count_nonzero(network.dense[0].weights == 0)
    print(f"{name:<20} fresh points right: {fresh:.1f}   exact zeros: {zeros} of 128")

# %% [markdown]
# ## What the networks have learned
#
# The colours show which arm each network expects at each place, here with L2.

# %%
side = np.linspace(-1.1, 1.1, 61)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
figure = make_figure()
figure.add_heatmap(
    x=side.round(3),
    y=side.round(3),
    z=networks["L2(5e-4)"][0].predict(plane).reshape(61, 61).astype(int),
    colorscale=[[0, COLOURS[0]], [0.5, COLOURS[1]], [1, COLOURS[2]]],
    opacity=0.35,
    showscale=False,
)
draw_points(figure, X, y)

# %% [markdown]
# ## Where the loss goes
#
# The history has the loss on the data and the penalty apart. A penalty makes the data loss larger;
# whether it helps is seen on fresh points only. Here the points are many and the network is small,
# so there is little to gain: what L1 buys is a network with half of the hidden weights, which is
# nearly as accurate.

# %%
figure = make_figure()
for (name, (_, history)), colour in zip(networks.items(), COLOURS, strict=True):
    every = slice(None, None, 25)
    line = {"color": colour}
    figure.add_scatter(
        x=np.arange(1500)[every], y=np.round(history["data_loss"], 4)[every], name=name, line=line
    )
figure.update_layout(template="none", height=320, xaxis_title="epoch", yaxis_title="data loss")

# %% [markdown]
# **To try.** Put `L1(1e-3)` in the place of `L1(3e-4)`: how many weights are left, and what does it
# cost? Give the second layer a penalty as well. Replace `ReLU` by `Sigmoid`.
