"""A model's folder: model.json and weights.safetensors, with checksums and without pickle."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from shrinkage.study.errors import StoppedError, UsageError, is_full

FORMAT = 1  # of the folder; a later version reads every earlier one
PROGRAM = "shrinkage model"
DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"
LOOKS = 3  # at a folder that another process may be moving away and removing
REMEDY = "fit it again, or name another folder"


def write_model_folder(folder: Path, fields: dict[str, Any], state: dict[str, np.ndarray]) -> None:
    """Write a model's folder whole, or leave what was there as it was.

    An earlier model is moved aside and removed when the new one is in place, so that a process
    that dies at any moment leaves at least one of them whole, in `folder` or beside it. Where two
    processes write one folder at once, the model of one of them stays.

    Raises
    ------
    UsageError
        If the folder holds anything but a model, is the working folder, or cannot be written.
    StoppedError
        If the disk is full.
    """
    folder = Path(os.path.realpath(folder))  # a link stays, and what it names is replaced
    if folder == Path(os.path.realpath(os.curdir)):
        raise UsageError(f"{str(folder)!r} is the working folder: name another one")
    _check_replaceable(folder)
    weights = save_tensors({name: np.ascontiguousarray(array) for name, array in state.items()})
    body = {**fields, "weights": hashlib.sha256(weights).hexdigest()}
    body = _replace_nan({"program": PROGRAM, "format": FORMAT, **body})
    description = {**body, "checksum": _checksum(body)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            draft = Path(beside) / "draft"
            draft.mkdir()
            (draft / WEIGHTS).write_bytes(weights)
            text = json.dumps(description, indent=1, ensure_ascii=False, allow_nan=False)
            (draft / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
            _replace_folder(folder, draft, Path(beside) / "earlier")
    except OSError as error:
        if is_full(error):
            raise StoppedError(
                f"the disk is full: {str(folder)!r} was not written; make room and run again"
            ) from None
        raise UsageError(f"{str(folder)!r} cannot be written: {error.strerror or error}") from None


def read_model_folder(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The fields and the arrays that `write_model_folder` wrote.

    Raises
    ------
    UsageError
        If the folder holds no model, one of a later version, or one that is damaged.
    """
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise UsageError(f"there is no folder {str(folder)!r}: name that of a study or a model")
    if not path.is_file():
        raise UsageError(f"folder {str(folder)!r} holds no model: there is no {DESCRIPTION} in it")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"it is no JSON: {error}") from None
    if not isinstance(description, dict) or description.get("program") != PROGRAM:
        raise UsageError(f"{str(path)!r} is the file of another program: name another folder")
    version = description.get("format")
    if not isinstance(version, int):
        raise _damaged(path, "its format is missing")
    if version > FORMAT:
        raise UsageError(
            f"{str(path)!r} was made by a later version of shrinkage: install that version"
        )
    if description.pop("checksum", None) != _checksum(description):
        raise _damaged(path, "it does not agree with its checksum")
    weights = folder / WEIGHTS
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise _damaged(weights, error.strerror or str(error)) from None
    if hashlib.sha256(content).hexdigest() != description["weights"]:
        raise _damaged(weights, f"it is not the one that {DESCRIPTION} was written with")
    try:
        return description, load_tensors(content)
    except SafetensorError as error:
        raise _damaged(weights, str(error)) from None


def remove_model_folder(folder: Path) -> None:
    """Remove a model; what else is in its folder stays."""
    for name in (DESCRIPTION, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # something else is in it
        folder.rmdir()


def _replace_folder(folder: Path, draft: Path, earlier: Path) -> None:
    """Move the draft to `folder`, and what is there to `earlier`."""
    try:
        with suppress(FileNotFoundError):
            os.rename(folder, earlier)
        os.rename(draft, folder)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # another process has just put its model there
        if earlier.exists() and not folder.exists():
            os.rename(earlier, folder)
        raise


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds anything but a model."""
    for _ in range(LOOKS):
        try:
            names = set(os.listdir(folder))
        except FileNotFoundError:
            return
        except OSError:  # a file, or a folder that must not be read
            break
        if not names or (DESCRIPTION in names and names <= {DESCRIPTION, WEIGHTS}):
            return
    raise UsageError(
        f"folder {str(folder)!r} holds something else than a model, and was left as it is: "
        "name another one"
    )


def _replace_nan(value: Any) -> Any:
    """The same with None for numbers that are not finite: JSON has no word for them."""
    if isinstance(value, dict):
        return {key: _replace_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, reason: str) -> UsageError:
    return UsageError(f"{str(path)!r} is damaged ({reason}), and was left as it is: {REMEDY}")
