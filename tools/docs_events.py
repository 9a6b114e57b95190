"""The generated part of docs/reference/messages.md: every message, its severity, when it comes, and what it carries.

When it comes is a line `<Event>: ...` in the docstring of its builder in a `messages` module; what it carries are the
fields of the golden message that the builder is tested with. `python tools/generate_docs.py` writes both into the page.
"""

from __future__ import annotations

import inspect
import json
import re
import sys

from tools.marked_page import ROOT, MarkedPage, table

sys.path.insert(0, str(ROOT / "layers" / "lifeboat" / "python"))

from lifeboat.ami import messages as ami
from lifeboat.backup import messages as backup
from lifeboat.copies import messages as copies
from lifeboat.doctor import messages as doctor
from lifeboat.domain.message import SEVERITIES
from lifeboat.evidence import manifest_messages as manifests
from lifeboat.evidence import messages as evidence
from lifeboat.restore import messages as restore
from lifeboat.retention import messages as retention
from lifeboat.verify import canary_messages as canary
from lifeboat.verify import drill_messages as drills
from lifeboat.verify import messages as verify

GOLDEN = ROOT / "tests" / "golden" / "messages"
SHOWN = "BackupCompleted"
"""The message that the page shows whole."""


def render() -> str:
    """What stands between the markers, the line ends beside them included."""
    rows = [[f"`{event}`", SEVERITIES[event], when, _fields(event)] for event, when in occasions().items()]
    message = json.dumps(_golden(SHOWN), indent=2)
    text = (GOLDEN / f"{SHOWN}.txt").read_text()
    return (
        f"\n{table('event|severity|when|details', rows)}\n\n"
        f"`{SHOWN}` as a program gets it:\n\n```json\n{message}\n```\n\n"
        f"and as it comes by e-mail:\n\n```text\n{text.rstrip()}\n```\n\n"
    )


def occasions() -> dict[str, str]:
    """When each event is published, in the order of SEVERITIES. Raises ValueError unless each has one builder that
    says."""
    found: dict[str, str] = {}
    for builder in builders().values():
        for event, when in re.findall(r"^ *([A-Z]\w+): (.+(?:\n *[a-z].*)*)", builder.__doc__ or "", re.MULTILINE):
            if event in found:
                raise ValueError(f"{event} has two builders")
            found[event] = " ".join(when.split())
    if set(found) != set(SEVERITIES):
        raise ValueError(f"{sorted(set(found) ^ set(SEVERITIES))} has no builder that says when, or no severity")
    return {event: found[event] for event in SEVERITIES}


def builders() -> dict[str, object]:
    """The functions of the features' `messages` that make a message, by name."""
    functions = (
        item
        for module in (ami, backup, canary, copies, doctor, drills, evidence, manifests, restore, retention, verify)
        for item in inspect.getmembers(module, inspect.isfunction)
    )
    return {name: item for name, item in functions if item.__annotations__.get("return") == "Message"}


def _fields(event: str) -> str:
    return ", ".join(f"`{name}`" for name in _golden(event)["details"])


def _golden(event: str) -> dict[str, dict[str, object]]:
    message: dict[str, dict[str, object]] = json.loads((GOLDEN / f"{event}.json").read_text())
    return message


PAGE = MarkedPage(
    path=ROOT / "docs" / "reference" / "messages.md",
    begin="<!-- messages: written by `make docs` -->",
    end="<!-- end of the messages -->",
    render=render,
)
