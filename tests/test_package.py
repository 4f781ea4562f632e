"""The package that would be released: built, installed where nothing else is, and used there."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

import shrinkage

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NEEDED = ("numpy", "array_api_compat")
USE = """
import importlib.metadata, importlib.util, sys
from pathlib import Path

import numpy as np
import shrinkage
from shrinkage import L1
from shrinkage.scratch import Adam, Dense, Network, ReLU, SoftmaxCategoricalCrossEntropy, spiral

assert not any(map(importlib.util.find_spec, ("torch", "numba", "pandas", "sklearn", "typer")))
assert float(L1(0.5)(np.array([1, -2, 3, -4]))) == 5.0
assert L1(0.5).prox(np.array([1.0, -0.25]), step=1.0).tolist() == [0.5, 0.0]
network = Network(
    [Dense(2, 8, weight_penalty=L1(1e-3), how="proximal", rng=0), ReLU(), Dense(8, 3, rng=1)],
    loss=SoftmaxCategoricalCrossEntropy(), optimizer=Adam(lr=0.05),
)
assert len(network.fit(*spiral(30), epochs=5)["loss"]) == 5
package = Path(shrinkage.__file__).parent
assert package.is_relative_to(sys.prefix), package
assert (package / "py.typed").is_file()
print(importlib.metadata.version("shrinkage"))
"""


def run(*command: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command without the paths of the environment in which the tests run."""
    words = list(map(str, command))
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def build(target: str, source: Path, out: Path) -> Path:
    pytest.importorskip("hatchling")
    done = run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", out, folder=source)
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"shrinkage-{shrinkage.__version__}"


@pytest.fixture(scope="module")
def environment(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, built from the source distribution, and what it requires."""
    wheel = build("wheel", source, tmp_path_factory.mktemp("wheel"))
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in NEEDED:  # from here, as there may be no network
        for path in Path(sysconfig.get_path("purelib")).glob(f"{name}[-.]*"):
            (packages / path.name).symlink_to(path)
        (packages / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    python = folder / "bin" / "python"
    install = ("install", "--no-index", "--no-compile", wheel)  # few of its files are imported
    done = run(sys.executable, "-m", "pip", "--python", python, *install)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_source_has_what_a_packager_needs(source: Path) -> None:
    names = ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "tests")
    assert all((source / name).exists() for name in names)
    assert not (source / ".ci").exists()


def test_it_works_with_numpy_alone(environment: Path, tmp_path: Path) -> None:
    done = run(environment / "bin" / "python", "-I", "-c", USE, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == shrinkage.__version__


def test_the_command_says_what_it_needs(environment: Path, tmp_path: Path) -> None:
    python, command = (environment / "bin" / name for name in ("python", "shrinkage"))
    done = run(python, "-I", command, "--version", folder=tmp_path)
    assert done.returncode == 1
    assert "the command needs more libraries: pip install 'shrinkage[study]'" in done.stderr
