# %% [markdown]
# # Heads of a small transformer
#
# <!-- tests: slow -->
#
# Attention comes in heads, and a model often has more of them than a task needs. A head is one
# group of weights spread over several matrices: its rows of the projections to queries, keys and
# values, and its columns of the output projection. A penalty on such groups makes whole heads
# vanish.
#
# ## A task that one head can solve
#
# Each sequence has eight numbers; one position is marked. The answer is the number at the marked
# position. All that attention has to do is to look there.

# %%
import torch
from torch import nn

torch.manual_seed(0)


def draw_sequences(count, generator):
    """(count, 8, 2): a number and a mark at each position; and the number that is marked."""
    numbers = torch.randn(count, 8, generator=generator)
    marked = torch.randint(0, 8, (count,), generator=generator)
    marks = nn.functional.one_hot(marked, 8).float()
    return torch.stack([numbers, marks], dim=-1), numbers.gather(1, marked[:, None])


class Reader(nn.Module):
    """Four heads of attention over embedded positions, and their mean."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(2, 32)
        self.attention = nn.MultiheadAttention(32, num_heads=4, batch_first=True)
        self.read = nn.Linear(32, 1)

    def forward(self, sequences):
        embedded = self.embed(sequences)
        attended, _ = self.attention(embedded, embedded, embedded, need_weights=False)
        return self.read(attended.mean(dim=1))


# %% [markdown]
# ## Which weights are a head?
#
# `heads(model)` finds them, and prints which part of which matrix belongs together.

# %%
from shrinkage import GroupLasso
from shrinkage.torch import Regularizer, heads

model = Reader()
(attention,) = heads(model)
for member in attention.members:
    print(member)

# %% [markdown]
# ## Training with and without the penalty
#
# The penalty is a group lasso with a group for each head. Applied as a prox, it sets heads exactly
# to zero that do not earn what they cost.


# %%
def train(strength):
    """A reader, its error on fresh sequences, and the size of each head."""
    torch.manual_seed(1)
    model, generator = Reader(), torch.Generator().manual_seed(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    regularizer = Regularizer(model, GroupLasso(strength), on=heads(model))
    regularizer.attach(optimizer, how="proximal")
    for _ in range(350):
        sequences, answers = draw_sequences(64, generator)
        optimizer.zero_grad()
        (model(sequences) - answers).square().mean().backward()
        optimizer.step()
    sequences, answers = draw_sequences(2000, generator)
    with torch.no_grad():
        error = (model(sequences) - answers).square().mean().item()
        output = model.attention.out_proj.weight  # (32, 4 heads of 8)
        sizes = output.reshape(32, 4, 8).square().sum(dim=(0, 2)).sqrt()
    return model, regularizer, error, sizes.tolist()


STRENGTHS = [0.0, 2e-4, 3e-4, 1e-3]
runs = {strength: train(strength) for strength in STRENGTHS}
for strength, (_, _, error, sizes) in runs.items():
    alive = sum(size > 0 for size in sizes)
    print(f"strength {strength:<7} error {error:.3f}   heads that are not zero: {alive} of 4")

# %% [markdown]
# A model that always answers 0 has an error of about 1, so all of these have learned something.
# Each bar below is the size of one head in the output projection.

# %%
import plotly.graph_objects as go

clear, grid = "rgba(0,0,0,0)", {"gridcolor": "rgba(128,128,128,0.2)"}
figure = go.Figure()
for head, colour in enumerate(["#1a74ba", "#e0622a", "#1b9b7c", "#c38d12"]):
    sizes = [round(run[3][head], 4) for run in runs.values()]
    names = [f"{strength:g}" for strength in STRENGTHS]
    figure.add_bar(x=names, y=sizes, name=f"head {head + 1}", marker_color=colour)
figure.update_layout(
    template="none", height=330, paper_bgcolor=clear, plot_bgcolor=clear, font_color="#80858c"
)
figure.update_xaxes(title_text="strength", type="category", **grid)
figure.update_yaxes(title_text="size in the output projection", **grid)

# %% [markdown]
# ## Without the dead heads
#
# `compact` takes the dead heads out of the attention. The model computes the same with fewer
# weights.

# %%
from shrinkage.compact import compact

model, regularizer, _, _ = runs[1e-3]
regularizer.detach()
sequences, _ = draw_sequences(16, torch.Generator().manual_seed(3))
small = compact(model, sequences, time_it=False)
for layer in small.report.layers:
    print(f"{layer.layer:<18} {layer.units_before:>2} units before, {layer.units_after:>2} after")
parameters = small.report.parameters
print(f"parameters: {int(parameters.before):,} before, {int(parameters.after):,} after")

# %% [markdown]
# The 96 units of the attention are queries, keys and values of 32 each: four heads of eight. One
# head is left, with eight of each.
