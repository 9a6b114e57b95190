"""A large layer is unpacked once for all emulators of a clone, and stays while one of them uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.emulator import shared_layers
from tests.local.conftest import zipped


def unpack(digest: str) -> Path:
    return shared_layers.unpack(zipped({"python/own.py": digest}), digest)


def test_a_layer_is_unpacked_once_and_goes_when_nobody_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_layers, "FOLDER", tmp_path)
    monkeypatch.setattr(shared_layers, "_locks", [])
    module = unpack("one") / "python" / "own.py"
    assert module.read_text() == "one"
    module.write_text("as the first emulator left it")
    assert unpack("one") == tmp_path / "one"
    assert module.read_text() == "as the first emulator left it"

    unpack("two")
    assert module.exists(), "it is in use"

    while shared_layers._locks:
        shared_layers._locks.pop().close()  # as at the end of an emulator
    unpack("three")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["three"]


def test_what_an_emulator_left_half_unpacked_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_layers, "FOLDER", tmp_path)
    monkeypatch.setattr(shared_layers, "_locks", [])
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "half.py").touch()
    assert [path.name for path in unpack("one").iterdir()] == ["python"]
