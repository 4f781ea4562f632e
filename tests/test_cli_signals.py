"""What signals do to a process that runs one command."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator

import pytest

from shrinkage.cli.exits import SIGNALS, InterruptedBySignal, own_the_process


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process is the tests', which get their handlers back."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_before")
def test_the_first_interrupts_the_second_does_not_and_the_end_is_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with own_the_process():
        with pytest.raises(InterruptedBySignal) as interrupted:
            signal.raise_signal(signal.SIGTERM)
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            pytest.fail("the second one interrupts as well")
    assert interrupted.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
