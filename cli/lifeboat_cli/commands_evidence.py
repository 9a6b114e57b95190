"""evidence: what an earlier manifest of the evidence bucket has that the bucket has not any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from lifeboat_cli.functions import Functions
from lifeboat_cli.outcome import Exit
from lifeboat_cli.session import Session, command
from lifeboat_cli.words import shown, table, yes_no

OLDEST = "oldest"
SECONDS = 920
"""Longer than guard_evidence may run: it lists the whole bucket while the client waits."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app)(evidence)


def evidence(
    session: Session,
    *,
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="The id of a manifest; without it, the oldest one.")
    ] = OLDEST,
    last: Annotated[
        bool, typer.Option("--last", help="Do not list the bucket now: compare with the last list.")
    ] = False,
) -> Exit:
    """Name what the evidence bucket has lost since a manifest: lists the bucket, and compares."""
    if not last:
        listed = session.functions.invoke("guard-evidence", {}, seconds=SECONDS)
        if "waits_for" in listed:
            session.say([f"The list waits for {shown(listed['waits_for'])}. So this compares with the one before."])
    answer = _compared(session.functions, manifest)
    session.give(answer, _lines(answer))
    return Exit.NEEDS_A_PERSON if answer["lost_objects"] else Exit.DONE


def _compared(functions: Functions, manifest: str) -> dict[str, Any]:
    """The whole comparison: one answer names only some hundred objects."""
    answer = functions.invoke("guard-evidence", {"compare": manifest}, seconds=SECONDS)
    names = list(answer["lost"])
    after = answer.get("more_after")
    while after:
        request = {"compare": answer["manifest"], "after": after}
        more = functions.invoke("guard-evidence", request, seconds=SECONDS)
        names += more["lost"]
        after = more.get("more_after")
    return {**answer, "lost": names, "more_after": ""}


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (shown(item["fate"]), yes_no(item["kept"]), shown(item["size"]), shown(item["version_id"]), shown(item["key"]))
        for item in answer["lost"]
    ]
    if rows:
        yield from table(("what", "kept", "bytes", "version", "key"), rows)
    yield (
        f"Of {shown(answer['objects'])} objects of the manifest {shown(answer['manifest'])}, "
        f"{shown(answer['lost_objects'])} with {shown(answer['lost_bytes'])} bytes were lost and "
        f"{shown(answer['replaced_objects'])} replaced by {shown(answer['begun_at'])}."
    )
    if answer["kept_objects"]:
        yield f"Of the lost, {shown(answer['kept_objects'])} are still there behind a delete marker."
