"""A model's folder: no pickle, refused when damaged, and readable for ever."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shrinkage.study import UsageError, load_model
from shrinkage.study.model import storage
from shrinkage.study.model.storage import read_model_folder, write_model_folder

SAVED = Path(__file__).parent / "saved"  # written by the first version that saves models
STATE = {"weight": np.ones((1, 2), dtype=np.float32), "bias": np.zeros(1, dtype=np.float32)}


def test_a_folder_gives_back_what_was_written(tmp_path):
    words = ["é", 1.5, math.nan]
    write_model_folder(tmp_path / "model", {"words": words, "more": {"error": math.inf}}, STATE)
    fields, state = read_model_folder(tmp_path / "model")
    assert fields["words"] == ["é", 1.5, None]  # JSON has no number that is not finite
    assert fields["more"] == {"error": None}
    assert all(np.array_equal(state[name], STATE[name]) for name in STATE)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_another_model_takes_its_place_and_nothing_else_is_overwritten(tmp_path):
    write_model_folder(tmp_path / "model", {"number": 1}, STATE)
    write_model_folder(tmp_path / "model", {"number": 2}, STATE)
    assert read_model_folder(tmp_path / "model")[0]["number"] == 2
    (tmp_path / "model" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds something else than a model"):
        write_model_folder(tmp_path / "model", {"number": 3}, STATE)
    assert read_model_folder(tmp_path / "model")[0]["number"] == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="holds something else than a model"):
        write_model_folder(tmp_path / "file", {}, STATE)


def test_a_failure_leaves_the_earlier_model(tmp_path, monkeypatch):
    write_model_folder(tmp_path / "model", {"number": 1}, STATE)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(RuntimeError, match="the disk is full"):
        write_model_folder(tmp_path / "model", {"number": 2}, STATE)
    assert read_model_folder(tmp_path / "model")[0]["number"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_whatever_ends_a_replacement_the_earlier_model_stays(tmp_path, monkeypatch):
    write_model_folder(tmp_path / "model", {"number": 1}, STATE)
    rename = os.rename

    def stop(error):
        def rename_or_stop(source, target):
            if Path(source).name == "draft":
                assert not (tmp_path / "model").exists()
                raise error
            rename(source, target)

        monkeypatch.setattr(os, "rename", rename_or_stop)

    for error, raised in (
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(5, "broken"), UsageError),
    ):
        stop(error)
        with pytest.raises(raised):
            write_model_folder(tmp_path / "model", {"number": 2}, STATE)
        assert read_model_folder(tmp_path / "model")[0]["number"] == 1
        assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_processes_that_die_or_write_at_once_lose_no_model(tmp_path):
    """A process that is killed between the two renames, and two that replace one folder at once."""
    folder = tmp_path / "model"
    write_model_folder(folder, {"number": 1}, STATE)
    write = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from shrinkage.study.model.storage import write_model_folder\n"
        "state = {'weight': np.ones(1, dtype=np.float32)}\n"
        f"folder = Path({str(folder)!r})\n"
    )
    die = "rename = os.rename\nos.rename = lambda a, b: rename(a, b) or os._exit(9)\n"
    once = "write_model_folder(folder, {'number': 2}, state)\n"
    assert subprocess.run([sys.executable, "-c", write + die + once]).returncode == 9
    (beside,) = tmp_path.iterdir()  # nothing at `folder`, and both models beside it
    assert read_model_folder(beside / "earlier")[0]["number"] == 1
    assert read_model_folder(beside / "draft")[0]["number"] == 2
    shutil.rmtree(beside)
    often = "for number in range(60): write_model_folder(folder, {'number': number}, state)\n"
    writers = [subprocess.Popen([sys.executable, "-c", write + often]) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert read_model_folder(folder)[0]["number"] == 59
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_link_stays_and_the_working_folder_is_refused(tmp_path, monkeypatch):
    write_model_folder(tmp_path / "model", {"number": 1}, STATE)
    (tmp_path / "latest").symlink_to("model")
    write_model_folder(tmp_path / "latest", {"number": 2}, STATE)
    assert (tmp_path / "latest").is_symlink()
    assert read_model_folder(tmp_path / "model")[0]["number"] == 2
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UsageError, match="is the working folder: name another one"):
        write_model_folder(Path(), {}, STATE)


def test_every_damaged_byte_is_noticed(tmp_path):
    folder = tmp_path / "model"
    write_model_folder(folder, {"number": 1}, STATE)
    for name in ("model.json", "weights.safetensors"):
        whole = (folder / name).read_bytes()
        for place in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[place] ^= 1
            (folder / name).write_bytes(bytes(changed))
            try:
                fields, _ = read_model_folder(folder)
            except UsageError:
                continue
            # Only white space between the tokens of the JSON may differ.
            assert name == "model.json"
            assert fields["number"] == 1
        (folder / name).write_bytes(whole[:-5])
        with pytest.raises(UsageError, match="is damaged"):
            read_model_folder(folder)
        (folder / name).write_bytes(whole)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(UsageError, match="is damaged"):
        read_model_folder(folder)


def test_what_is_foreign_or_later_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no model: there is no model\.json"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text('{"model": "gpt"}')
    with pytest.raises(UsageError, match="is the file of another program"):
        load_model(tmp_path)
    later = {"program": storage.PROGRAM, "format": storage.FORMAT + 1}
    (tmp_path / "model.json").write_text(json.dumps(later))
    with pytest.raises(UsageError, match="made by a later version of shrinkage"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["numbers", "classes"])
def test_a_model_of_the_first_version_predicts_as_it_did(name, tmp_path):
    rows = json.loads((SAVED / "expected.json").read_text())[name]
    shutil.copytree(SAVED / name, tmp_path / "model")
    model = load_model(tmp_path)
    import pandas as pd

    frame = pd.DataFrame(rows["rows"])
    predicted = model.predict(frame)
    if name == "numbers":
        np.testing.assert_allclose(predicted, rows["predicted"], rtol=1e-5)
    else:
        assert predicted.tolist() == rows["predicted"]
        np.testing.assert_allclose(model.predict_proba(frame), rows["shares"], rtol=1e-4)


def test_it_is_loaded_in_another_process_without_torch(classes_study, tmp_path, cars):
    folder, results = classes_study
    cars.dropna().to_csv(tmp_path / "new.csv", index=False)
    code = (
        "import sys\n"
        "from shrinkage.study import load_model\n"
        f"print(*load_model({str(folder)!r}).predict({str(tmp_path / 'new.csv')!r}))\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == results.model.predict(cars.dropna()).tolist()
