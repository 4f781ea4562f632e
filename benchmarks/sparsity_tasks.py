"""Small tasks for benchmarks/sparsity.py: data in three parts, and a network for each.

The test part is the same for every seed, and no choice sees it. A seed says how the rest is split
into what is trained on and what choices are made by, and how the network begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

Pair = tuple[Tensor, Tensor]  # inputs and labels; a label below 0 is not asked for
BRACKETS, LENGTH, DEEPEST = 4, 16, 4


@dataclass(frozen=True)
class Task:
    """What is learned by which network, and for how long."""

    load: Callable[[], tuple[Pair, Pair]]  # all but the test part, and the test part
    make_model: Callable[[], nn.Module]
    hidden: Callable[[nn.Module], dict[str, nn.Module]]  # layers whose output channels may go
    epochs: int
    batch: int = 64

    def split(self, seed: int) -> tuple[Pair, Pair, Pair]:
        """What to train on, what to choose by, and what to test on."""
        (x, y), test = self.load()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        count = len(x) // 4
        validation, train = order[:count], order[count:]
        return (x[train], y[train]), (x[validation], y[validation]), test


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose single weights may go."""
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def all_but_the_last(model: nn.Module) -> dict[str, nn.Module]:
    return dict(list(layers_of(model).items())[:-1])


@functools.cache
def load_images() -> tuple[Pair, Pair]:
    """scikit-learn's digits; a quarter is the test part."""
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    images, labels = torch.tensor(x / 16.0).float().view(-1, 1, 8, 8)[order], torch.tensor(y)[order]
    count = len(x) // 4
    return (images[count:], labels[count:]), (images[:count], labels[:count])


@functools.cache
def load_signals(count: int = 2500) -> tuple[Pair, Pair]:
    """MNIST-1D (Greydanus, 2020), made here by its package: a digit is a curve of 40 points."""
    from mnist1d.data import get_dataset_args, make_dataset

    arguments = get_dataset_args()
    arguments.num_samples = count
    data = make_dataset(arguments)

    def part(suffix: str) -> Pair:
        signals = torch.tensor(data["x" + suffix]).float().unsqueeze(1)
        return signals, torch.tensor(data["y" + suffix]).long()

    return part(""), part("_test")


@functools.cache
def load_texts() -> tuple[Pair, Pair]:
    """Nested brackets of four kinds: which one closes here, wherever one does.

    The characters are drawn one by one: one more opens or the last one closes, with even chances,
    four are open at most, and all are closed at the end.
    """
    generator = torch.Generator().manual_seed(0)
    texts = torch.zeros(3000, LENGTH, dtype=torch.long)
    closing = torch.full_like(texts, -1)
    for text, asked in zip(texts, closing, strict=True):
        open_ones: list[int] = []
        coins = torch.rand(LENGTH, generator=generator).tolist()
        kinds = torch.randint(BRACKETS, (LENGTH,), generator=generator).tolist()
        for place in range(LENGTH):
            must_close = len(open_ones) in (DEEPEST, LENGTH - place)
            if open_ones and (must_close or coins[place] < 0.5):
                asked[place] = open_ones.pop()
                text[place] = BRACKETS + asked[place]
            else:
                open_ones.append(kinds[place])
                text[place] = kinds[place]
    inputs, labels = texts[:, :-1], closing[:, 1:]
    return (inputs[1000:], labels[1000:]), (inputs[:1000], labels[:1000])


def make_mlp() -> nn.Sequential:
    first, second = nn.Linear(64, 128), nn.Linear(128, 64)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), nn.Linear(64, 10))


def make_cnn() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten()),
        nn.Linear(128, 10),
    )


def make_cnn_of_signals() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv1d(1, 24, 5, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv1d(24, 24, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv1d(24, 24, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()),
        nn.Linear(120, 10),
    )


class Block(nn.Module):
    """Causal attention of four heads, then a feed-forward layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before_attention, self.before_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.before_attention(x)).view(batch, length, 3, 4, width // 4)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.proj(attended.transpose(1, 2).reshape(x.shape))
        return x + self.fc2(self.fc1(self.before_feed_forward(x)).relu())


class Transformer(nn.Module):
    """Two blocks, with learned positions."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2 * BRACKETS, width)
        self.position = nn.Parameter(0.1 * torch.randn(LENGTH - 1, width))
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.head = nn.Linear(width, BRACKETS)

    def forward(self, texts: Tensor) -> Tensor:
        scores: Tensor = self.head(self.blocks(self.embedding(texts) + self.position))
        return scores


def feed_forward(model: nn.Module) -> dict[str, nn.Module]:
    return {name: layer for name, layer in layers_of(model).items() if name.endswith("fc1")}


TASKS = {
    "MLP": Task(load_images, make_mlp, all_but_the_last, epochs=16),
    "CNN": Task(load_images, make_cnn, all_but_the_last, epochs=16),
    "MNIST-1D": Task(load_signals, make_cnn_of_signals, all_but_the_last, epochs=12, batch=75),
    "Transformer": Task(load_texts, Transformer, feed_forward, epochs=4, batch=30),
}
