"""A CNN from dense to small: train it, make three quarters of its channels zero, take them out.

python examples/smaller_cnn.py
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from shrinkage import GroupL0
from shrinkage.compact import Report, compact
from shrinkage.torch import Joint, Regularizer


def load() -> list[Tensor]:
    """Digits of 8 by 8 pixels: images to train and to test with, then the labels of both."""
    x, y = load_digits(return_X_y=True)
    images = (x / 16).astype("float32").reshape(-1, 1, 8, 8)
    return [torch.tensor(part) for part in train_test_split(images, y, random_state=0, stratify=y)]


def make_cnn(width: int) -> nn.Sequential:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        filters = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [filters, nn.BatchNorm2d(outputs), nn.ReLU()]

    first, second = block(1, width), block(width, 2 * width)
    third, last = block(2 * width, 4 * width), nn.Linear(4 * width, 10)
    pooled = [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    return nn.Sequential(*first, *second, nn.MaxPool2d(2), *third, *pooled, last)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, data: list[Tensor], epochs: int
) -> None:
    x, _, y, _ = data
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def measure_accuracy(model: nn.Module, data: list[Tensor]) -> float:
    _, x, _, y = data
    with torch.no_grad():
        return float((model.eval()(x).argmax(1) == y).float().mean())


def ask_for_zeros(
    model: nn.Module, optimizer: torch.optim.Optimizer, share: float, steps: int
) -> None:
    """Of each layer this share of channels is zero after so many steps, and stays so.

    A channel is a filter with its gain and its shift in the BatchNorm that follows.
    """
    filters = [i for i, layer in enumerate(model) if isinstance(layer, nn.Conv2d)]
    channels = [Joint(f"{i}.weight", f"{i + 1}.weight", f"{i + 1}.bias") for i in filters]
    regularizer = Regularizer(model, dict.fromkeys(channels, GroupL0(1.0)))
    shares = {f"{i}.*": share for i in filters}
    regularizer.attach(optimizer, how="proximal", target=shares, target_steps=steps)


def main(width: int = 16, epochs: int = 10, share: float = 0.75) -> tuple[list[float], Report]:
    torch.manual_seed(0)
    data = load()
    model = make_cnn(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    train(model, optimizer, data, epochs)
    accuracies = [measure_accuracy(model, data)]

    half = epochs * len(data[0]) // 64 // 2  # zeros are made in it, and the other half refits
    ask_for_zeros(model, optimizer, share, steps=half)
    train(model, optimizer, data, epochs)
    accuracies.append(measure_accuracy(model, data))

    small = compact(model, data[1])
    accuracies.append(measure_accuracy(small.model, data))
    print("accuracy: {:.1%} dense, {:.1%} with zeros, {:.1%} small".format(*accuracies))
    print(small.report)
    return accuracies, small.report


if __name__ == "__main__":
    main()
