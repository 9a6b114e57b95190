"""What a person puts in place of each placeholder of the test events."""

from __future__ import annotations

from pathlib import Path

INSTANCE, VOLUME = "i-0123456789abcdef0", "vol-0123456789abcdef0"
PLACEHOLDERS = {
    "i-FRESH": INSTANCE,
    "i-INSTANCE": INSTANCE,
    "i-NEXT": INSTANCE,
    "vol-VOLUME": VOLUME,
    "vol-LINEAGE": VOLUME,
    "rp-RECOVERY-POINT": "rp-1",
    "restore-ID": "restore-0123456789abcdef",
    '"reason": ""': '"reason": "why"',
}


def read_filled(path: Path) -> str:
    """The text of a test event, with its placeholders filled."""
    text = path.read_text()
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text
