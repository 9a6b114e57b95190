"""Read one snapshot from its checkpoint: the list of its blocks, its file systems, and the blocks of the level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lifeboat.aws import clock, ebs_direct
from lifeboat.aws.ebs_direct import LEAST_PAGE, PAGE, BlockPage, ChangedPage, WrongChecksumError
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime, PacedCalls
from lifeboat.domain.proof import Level
from lifeboat.domain.rate_limit import BLOCKS_AT_ONCE, GET_BLOCK_SHARE, LIST_BLOCKS_SHARE, Pace
from lifeboat.verify import plan
from lifeboat.verify.contents.image import Image
from lifeboat.verify.contents.inspect import inspect
from lifeboat.verify.describe import describe_contents, list_notes
from lifeboat.verify.digests import read_digest
from lifeboat.verify.lost_contents import name_types
from lifeboat.verify.manifest_store import Manifest
from lifeboat.verify.record import Phase, Reading

PAGES_A_CHECKPOINT = 10
"""After so many pages of a list the checkpoint is saved: 50 GiB of written blocks, and some seconds."""

BLOCKS_A_CHECKPOINT = 250
"""After so many blocks of data the checkpoint is saved: some seconds."""

BLOCKS_A_MANIFEST = 5_000
"""The same where a manifest is written with each checkpoint, and again when the time is over: less than a minute. A
manifest may have 72 MB."""

TIMES_READ = 3
"""How often a block is read whose bytes are not those of its SHA-256: the network may have changed them."""

MOST_TOKENS = 200_000
"""How many tokens of blocks are kept in memory, some 40 MB. Others are asked for again."""


class Calls:
    """The reads of one invocation, at verification's own share of the account's quota in the region.

    `region` None: the function's own.
    """

    def __init__(self, invocation: Invocation, region: str | None = None) -> None:
        self.region = region
        self._pages: dict[tuple[str | int, ...], BlockPage | ChangedPage] = {}
        self._lists = _paced(LIST_BLOCKS_SHARE, invocation)
        self._gets = _paced(GET_BLOCK_SHARE, invocation)

    def list_blocks(self, snapshot_id: str, start: int, most: int = PAGE) -> BlockPage:
        """The next part of a list. Raises AwsError and OutOfTime."""

        def ask(token: str) -> BlockPage:
            return self._lists.make(lambda: ebs_direct.list_blocks(snapshot_id, start, most, self.region, token))

        return self._once((snapshot_id, start, most), lambda: ebs_direct.first_not_empty(ask))

    def list_changed_blocks(self, first_id: str, second_id: str, start: int) -> ChangedPage:
        """The next part of the list of what differs in two snapshots. Raises AwsError and OutOfTime."""

        def ask(token: str) -> ChangedPage:
            return self._lists.make(
                lambda: ebs_direct.list_changed_blocks(first_id, second_id, start, region=self.region, page_token=token)
            )

        return self._once((first_id, second_id, start), lambda: ebs_direct.first_not_empty(ask))

    def _once[Page: (BlockPage, ChangedPage)](self, asked: tuple[str | int, ...], ask: Callable[[], Page]) -> Page:
        """The page, from memory if this invocation has it: a snapshot never changes, and its tokens last for days.

        The change canary asks for the same lists as the reading and its manifest.
        """
        known = self._pages.get(asked)
        if known is None:
            known = ask()
            if len(known.tokens) + sum(len(page.tokens) for page in self._pages.values()) > MOST_TOKENS:
                self._pages.clear()
            self._pages[asked] = known
        return known  # type: ignore[return-value]

    def read_block(self, snapshot_id: str, index: int, token: str) -> bytes:
        """A block whose bytes are those of its SHA-256. Raises AwsError, OutOfTime and WrongChecksumError."""
        for _ in range(TIMES_READ - 1):
            try:
                return self._gets.make(lambda: ebs_direct.read_block(snapshot_id, index, token, self.region))
            except WrongChecksumError:
                continue
        return self._gets.make(lambda: ebs_direct.read_block(snapshot_id, index, token, self.region))


def _paced(share: float, invocation: Invocation) -> PacedCalls:
    pace = Pace(share)
    pace.hold(clock.monotonic(), BLOCKS_AT_ONCE)
    return PacedCalls(pace, invocation)


@dataclass(slots=True)
class Blocks:
    """The written blocks of one snapshot, with what reads them. It is a container of their indexes.

    What the list was not read of in this invocation is asked for where it is needed.
    """

    snapshot_id: str
    calls: Calls
    end: int
    _tokens: dict[int, str] = field(default_factory=dict)
    _known: list[range] = field(default_factory=list)

    def __contains__(self, index: object) -> bool:
        """Raises AwsError and OutOfTime."""
        if not isinstance(index, int):
            return False
        if not any(index in known for known in self._known):
            self.list_page(index, LEAST_PAGE)
        return index in self._tokens

    def list_page(self, start: int, most: int = PAGE) -> BlockPage:
        """The next part of the list. Raises AwsError and OutOfTime."""
        page = self.calls.list_blocks(self.snapshot_id, start, most)
        if len(self._tokens) + len(page.tokens) > MOST_TOKENS:
            self._tokens.clear()
            self._known.clear()
        self._tokens.update(page.tokens)
        end = self.end if page.next_block is None else page.next_block
        if self._known and self._known[-1].stop == start:
            start = self._known.pop().start
        self._known.append(range(start, end))
        return page

    def read(self, index: int) -> bytes:
        """One written block. Raises AwsError, OutOfTime and WrongChecksumError, KeyError for one that is not."""
        if index not in self:
            raise KeyError(index)
        return self.calls.read_block(self.snapshot_id, index, self._tokens[index])


def read_on(
    reading: Reading, level: Level, turn: int, calls: Calls, manifest: Manifest | None = None
) -> Iterator[Reading]:
    """Read a snapshot on from its checkpoint. Yields each next checkpoint, the last one with the phase DONE.

    With a `manifest` the digests of the blocks are kept, and known blocks are not read.

    Raises AwsError where AWS refuses a call, and OutOfTime; the newest checkpoint stands then.
    """
    blocks = Blocks(reading.snapshot_id, calls, plan.block_count(reading.gib))
    try:
        while reading.phase is not Phase.DONE:
            if reading.phase is Phase.LIST:
                reading = _list_on(reading, blocks)
            elif reading.phase is Phase.INSPECT:
                reading = _inspect(reading, level, blocks)
            elif manifest is None:
                reading = _read_data_on(reading, level, turn, blocks)
            else:
                reading = _read_into(manifest, reading, level, turn, blocks)
            yield reading
    except WrongChecksumError as wrong:
        yield plan.failed(reading, str(wrong))


def _list_on(reading: Reading, blocks: Blocks) -> Reading:
    for _ in range(PAGES_A_CHECKPOINT):
        page = blocks.list_page(reading.next_block)
        reading = plan.after_page(reading, list(page.tokens), page.next_block, gib=page.gib, block_size=page.block_size)
        if reading.phase is not Phase.LIST:
            break
    return reading


def _inspect(reading: Reading, level: Level, blocks: Blocks) -> Reading:
    image = Image(reading.gib * 2**30, blocks, blocks.read, plan.MOST_BLOCKS)
    contents = inspect(image)
    return plan.after_inspection(
        reading,
        level=level,
        holds=describe_contents(contents),
        types=name_types(contents),
        notes=list_notes(contents),
        problems=contents.problems,
        read=contents.blocks_fetched,
    )


def _read_data_on(reading: Reading, level: Level, turn: int, blocks: Blocks) -> Reading:
    """Read about BLOCKS_A_CHECKPOINT blocks. Their bytes are held against the SHA-256, and nothing is kept."""
    most = max(LEAST_PAGE, BLOCKS_A_CHECKPOINT * (plan.PARTS if level is Level.SAMPLE else 1))
    page = blocks.list_page(reading.next_block, most)
    wanted = [index for index in page.tokens if plan.is_read(index, level, turn)]
    for index in wanted:
        blocks.read(index)
    read = reading.read + len(wanted)
    if page.next_block is None:
        return replace(reading, read=read, phase=Phase.DONE)
    return replace(reading, read=read, next_block=page.next_block)


def _read_into(manifest: Manifest, reading: Reading, level: Level, turn: int, blocks: Blocks) -> Reading:
    """Read up to BLOCKS_A_MANIFEST blocks that are not known. The manifest is written before the checkpoint is.

    What was read before a refusal, or before the time is over, is kept; the next call meets the refusal again.
    """
    read: dict[int, bytes] = {}
    unchanged, at = 0, reading.next_block
    end: int | None = at
    try:
        while end is not None and len(read) < BLOCKS_A_MANIFEST:
            page = blocks.list_page(at)
            for at in page.tokens:
                if manifest.is_known(at):
                    unchanged += 1
                elif plan.is_read(at, level, turn):
                    if len(read) == BLOCKS_A_MANIFEST:
                        break
                    read[at] = read_digest(blocks.read(at))
            else:
                end = page.next_block
                at = at if end is None else end
    except (AwsError, OutOfTime):
        if not read:
            raise
    if wrong := _other_than_known(manifest, read):
        return plan.failed(reading, wrong)
    manifest.add(read)
    done = replace(reading, read=reading.read + len(read), unchanged=reading.unchanged + unchanged)
    return replace(done, phase=Phase.DONE) if end is None else replace(done, next_block=at)


def _other_than_known(manifest: Manifest, read: Mapping[int, bytes]) -> str:
    """What is wrong with blocks that were read again; empty if nothing is."""
    other = [index for index, digest in read.items() if manifest.known.get(index) not in {None, digest}]
    if not other:
        return ""
    return (
        f"{len(other)} of {len(read)} blocks have another SHA-256 than when they were read last, the first of them "
        f"block {other[0]}"
    )
