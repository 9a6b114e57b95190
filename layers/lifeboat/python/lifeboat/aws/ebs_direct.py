"""The EBS direct APIs: list the blocks of a snapshot and read them back.

A block has 512 KiB, and its index is its place divided by that. Only blocks that were ever written are listed; the
others are zeros. Page tokens last an hour and block tokens seven days
(https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-elements.html). So a list that is continued in another
invocation begins at a block, not at a token.

A refusal becomes an AwsError whose code is AWS's `Reason` where there is one: SNAPSHOT_NOT_FOUND says more than
ResourceNotFoundException.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated

PAGE = 10_000
"""The most blocks in one answer of a list
(https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html)."""

LEAST_PAGE = 100
"""The least that a list may be asked for (same page)."""

MOST_EMPTY = 2_000
"""So many empty pages in a row are read of one list. EBS answers such pages where changed blocks are scarce
(https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-faq.html)."""


class WrongChecksumError(Exception):
    """The bytes of a block of `snapshot_id` are not those whose SHA-256 EBS sent with them."""

    def __init__(self, words: str, snapshot_id: str) -> None:
        super().__init__(words)
        self.snapshot_id = snapshot_id


@dataclass(frozen=True, slots=True)
class BlockPage:
    """A part of the list of a snapshot's blocks.

    `tokens` has a token for each written block, by its index in the order of the list. `next_block` is where the list
    goes on; None at its end. `gib` is the volume's size, `block_size` is in bytes, both as EBS says; None where it does
    not say. `page_token` asks for the page after an empty one; it is empty after any other.
    """

    tokens: Mapping[int, str]
    next_block: int | None
    gib: int | None
    block_size: int | None
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """A part of the list of the blocks in which two snapshots of one lineage differ.

    `tokens` has the tokens of a block in the first and in the second snapshot, by its index; an empty one where the
    snapshot does not have the block. About two equal snapshots EBS answers an empty list without the volume's size, as
    recorded from a live account (tests/fixtures/captures). `page_token` is as in a BlockPage.
    """

    tokens: Mapping[int, tuple[str, str]]
    next_block: int | None
    page_token: str = ""


def list_blocks(
    snapshot_id: str, start: int, most: int = PAGE, region: str | None = None, page_token: str = ""
) -> BlockPage:
    """The next up to `most` written blocks from `start` on. `region` None: the function's own. Raises AwsError.

    The page may be empty and not the last one: `first_not_empty` asks on.
    """
    asked = {"SnapshotId": snapshot_id, "StartingBlockIndex": start, "MaxResults": most}
    answer = _answer(clients.ebs(region).list_snapshot_blocks, asked, page_token)
    tokens = {item["BlockIndex"]: item["BlockToken"] for item in answer["Blocks"]}
    return BlockPage(
        tokens,
        _next(answer, tokens),
        answer.get("VolumeSize"),
        answer.get("BlockSize"),
        _page_token(answer, tokens),
    )


def list_changed_blocks(
    first_id: str, second_id: str, start: int, *, region: str | None = None, page_token: str = ""
) -> ChangedPage:
    """The next up to PAGE blocks from `start` on that differ. Raises AwsError.

    The code is UNRELATED_SNAPSHOTS for two snapshots that are not of one lineage. The page may be empty and not the
    last one: `first_not_empty` asks on.
    """
    asked = {
        "FirstSnapshotId": first_id,
        "SecondSnapshotId": second_id,
        "StartingBlockIndex": start,
        "MaxResults": PAGE,
    }
    answer = _answer(clients.ebs(region).list_changed_blocks, asked, page_token)
    tokens = {
        item["BlockIndex"]: (item.get("FirstBlockToken", ""), item.get("SecondBlockToken", ""))
        for item in answer["ChangedBlocks"]
    }
    return ChangedPage(tokens, _next(answer, tokens), _page_token(answer, tokens))


def first_not_empty[Page: (BlockPage, ChangedPage)](ask: Callable[[str], Page]) -> Page:
    """The first page with blocks, or the last one. `ask` gets the page token, which is empty at first.

    Raises AwsError after MOST_EMPTY empty pages, which time does not mend.
    """
    page_token = ""
    for _ in range(MOST_EMPTY):
        page = ask(page_token)
        if not page.page_token:
            return page
        page_token = page.page_token
    raise AwsError("EmptyPages", f"EBS answered {MOST_EMPTY} empty pages of one list in a row", answered=True)


def read_block(snapshot_id: str, index: int, token: str, region: str | None = None) -> bytes:
    """The bytes of one block. Raises AwsError, and WrongChecksumError for other bytes than EBS says.

    The signature of an answer does not cover the bytes of a block, so the SHA-256 is computed anew
    (https://docs.aws.amazon.com/ebs/latest/userguide/ebsapis-using-checksums.html).
    """
    with _said():
        answer = clients.ebs(region).get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=token)
        data: bytes = answer["BlockData"].read()
    found = base64.b64encode(hashlib.sha256(data).digest()).decode()
    if found != answer["Checksum"]:
        raise WrongChecksumError(
            f"block {index} of {snapshot_id} has the SHA-256 {found}, expected {answer['Checksum']}, which EBS sent "
            f"with its {len(data)} bytes",
            snapshot_id,
        )
    return data


def _answer(call: Any, asked: Mapping[str, Any], page_token: str) -> Any:
    with _said():
        return call(**asked, NextToken=page_token) if page_token else call(**asked)


def _next(answer: Mapping[str, Any], tokens: Mapping[int, Any]) -> int | None:
    return max(tokens) + 1 if answer.get("NextToken") and tokens else None


def _page_token(answer: Mapping[str, Any], tokens: Mapping[int, Any]) -> str:
    return "" if tokens else str(answer.get("NextToken") or "")


@contextmanager
def _said() -> Iterator[None]:
    """Translate botocore's exceptions. The reason of a refusal stands beside its message."""
    try:
        with translated():
            yield
    except AwsError as problem:
        cause = problem.__cause__
        reason = cause.response.get("Reason") if isinstance(cause, ClientError) else None
        if not reason:
            raise
        raise AwsError(str(reason), problem.message, answered=problem.answered) from cause
