"""What drives SAM CLI leaves nothing behind."""

from pathlib import Path

import pytest

from local import stack


def test_what_sam_leaves_in_its_temporary_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam = tmp_path / "sam"
    sam.write_text("#!/bin/sh\nmktemp -d\n")  # as `sam deploy` does for each artifact that it packs
    sam.chmod(0o755)
    monkeypatch.setattr(stack, "SAM_BIN", tmp_path)
    left = Path(stack._sam(["deploy"], {"PATH": "/usr/bin:/bin"}).strip())
    assert left.is_absolute()
    assert not left.exists()
    assert not left.parent.exists()
