"""The three operations. Facts are recorded from live accounts unless said otherwise."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from local.emulator.clock import CLOCK
from local.emulator.ebs import answers, rights, tokens
from local.emulator.ebs.answers import Answer, invalid, unfit
from local.emulator.ebs.tokens import Subject
from local.emulator.ec2.blocks import BLOCK_SIZE, flipped
from local.emulator.ec2.model import Request, Snapshot
from local.emulator.settings import SETTINGS

LEAST_RESULTS, MOST_RESULTS = 100, 10_000
TOKEN = re.compile(r"[A-Za-z0-9+/=_-]+")
SNAPSHOT_ID = re.compile(r"snap-[0-9a-f]+")


def list_snapshot_blocks(request: Request) -> Answer:
    """The blocks of a snapshot that were ever written, zeros too."""
    snapshot_id, size, start = _snapshot_id(request, "snapshotId"), _max_results(request), _start(request)
    [snapshot] = rights.readable(request, snapshot_id)
    rights.check_key(request, snapshot, to_read=False)
    subject = Subject("ListSnapshotBlocks", (snapshot_id,))
    page, token = _page(request, subject, sorted(snapshot.blocks), size, start)
    expires = CLOCK.now() + (tokens.BLOCK_SECONDS if page else 0.0)
    blocks = [{"BlockIndex": index, "BlockToken": _block_token(snapshot, index, expires)} for index in page]
    return answers.listed({"Blocks": blocks, "NextToken": token, **_about(snapshot, expires)})


def list_changed_blocks(request: Request) -> Answer:
    """What differs between two snapshots of one lineage: what was written in between, the same bytes again too.

    A page is a piece of what either of them has, so it may have fewer changes than asked for, or none, and yet another
    page after it. A last page without a change has nothing else.
    """
    second_id, size, start = _snapshot_id(request, "secondSnapshotId"), _max_results(request), _start(request)
    if not request.get("firstSnapshotId"):
        raise invalid("INVALID_SNAPSHOT_ID", "First snapshot should not be empty or null")
    first_id = _snapshot_id(request, "firstSnapshotId")
    first, second = rights.readable(request, first_id, second_id)
    if first.lineage != second.lineage:
        raise invalid("UNRELATED_SNAPSHOTS", f"The snapshot {first_id} and {second_id} are not related.")
    for snapshot in (first, second):
        rights.check_key(request, snapshot, to_read=False)
    subject = Subject("ListChangedBlocks", (first_id, second_id))
    page, token = _page(request, subject, sorted({*first.blocks, *second.blocks}), size, start)
    expires = CLOCK.now() + tokens.BLOCK_SECONDS
    changed = [
        {
            "BlockIndex": index,
            "FirstBlockToken": _block_token(first, index, expires),
            "SecondBlockToken": _block_token(second, index, expires),
        }
        for index in page
        if _write_of(first, index) != _write_of(second, index)
    ]
    if not changed and token is None:
        nothing = {"BlockSize": None, "ExpiryTime": None, "VolumeSize": None}
        return answers.listed({"ChangedBlocks": [], "NextToken": None, **nothing})
    return answers.listed({"ChangedBlocks": changed, "NextToken": token, **_about(second, expires)})


def get_snapshot_block(request: Request) -> Answer:
    """The bytes of one block; its token is that of a list, and no other's."""
    snapshot_id = _snapshot_id(request, "snapshotId")
    index = _number(request, "blockIndex", 0)
    token = str(request.get("blockToken", ""))
    if not TOKEN.fullmatch(token):
        raise unfit(token, "blockToken", "satisfy regular expression pattern: ^[A-Za-z0-9+/=_-]+$")
    [snapshot] = rights.readable(request, snapshot_id)
    rights.check_key(request, snapshot, to_read=True)
    block = snapshot.blocks.get(index)
    if block is None or tokens.index_of(Subject("block", (snapshot_id,)), token) != index:
        raise invalid("INVALID_BLOCK_TOKEN", f"The block token {token} is invalid.")
    content = block.content
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return answers.block(content if block.garbled_at is None else flipped(content, block.garbled_at), checksum)


OPERATIONS = {
    "GetSnapshotBlock": get_snapshot_block,
    "ListChangedBlocks": list_changed_blocks,
    "ListSnapshotBlocks": list_snapshot_blocks,
}


def _write_of(snapshot: Snapshot, index: int) -> int | None:
    block = snapshot.blocks.get(index)
    return block.write if block else None


def _block_token(snapshot: Snapshot, index: int, expires: float) -> str | None:
    if index not in snapshot.blocks:
        return None
    return tokens.made(Subject("block", (snapshot.snapshot_id,)), index, expires)


def _about(snapshot: Snapshot, expires: float) -> dict[str, Any]:
    return {"BlockSize": BLOCK_SIZE, "ExpiryTime": round(expires, 3), "VolumeSize": snapshot.size}


def _page(
    request: Request, subject: Subject, indices: Sequence[int], size: int, start: int
) -> tuple[list[int], str | None]:
    """The indices of this page, and the token of the next one; a token prevails over a start."""
    token = request.get("pageToken")
    if token:
        begin = tokens.index_of(subject, token)
        if begin is None:
            raise invalid("INVALID_PAGE_TOKEN", f"The pagination token {token} is invalid.")
        start = begin
    left = [index for index in indices if index >= start]
    # Any page may be empty and not the last one (documented).
    taken = 0 if SETTINGS.empty_pages and not token else size
    if len(left) <= taken:
        return left, None
    following = left[taken] if left else start
    return left[:taken], tokens.made(subject, following, CLOCK.now() + tokens.PAGE_SECONDS)


def _snapshot_id(request: Request, name: str) -> str:
    given = str(request.get(name, ""))
    if not SNAPSHOT_ID.fullmatch(given):
        raise unfit(given, name, "satisfy regular expression pattern: ^snap-[0-9a-f]+$")
    return given


def _max_results(request: Request) -> int:
    """Without MaxResults as many as possible; which number AWS takes is not documented."""
    number = _number(request, "maxResults", LEAST_RESULTS, MOST_RESULTS)
    if number > MOST_RESULTS:
        raise unfit(number, "maxResults", f"have value less than or equal to {MOST_RESULTS}")
    return number


def _start(request: Request) -> int:
    return _number(request, "startingBlockIndex", 0, 0)


def _number(request: Request, name: str, least: int, default: int | None = None) -> int:
    given = request.get(name, default)
    try:
        number = int(given)
    except (TypeError, ValueError):
        raise unfit(given, name, "be a number") from None
    if number < least:
        raise unfit(number, name, f"have value greater than or equal to {least}")
    return number


def values_of(query: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a query, each once."""
    return {name: str(value[0] if isinstance(value, list) else value) for name, value in query.items()}
