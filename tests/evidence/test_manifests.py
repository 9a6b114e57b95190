"""The manifest of the evidence bucket: whatever ends an invocation, each version has a line, and each loss a name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from lifeboat.aws import clients, clock, evidence_bucket, topic
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.config import load
from lifeboat.domain.evidence import LifecycleRule
from lifeboat.evidence import compare_workflow, listing_workflow, manifest, manifest_workflow
from lifeboat.evidence.compare_workflow import compare_manifests
from lifeboat.evidence.listing_workflow import Listed, count_versions
from lifeboat.evidence.manifest import Index
from lifeboat.evidence.manifest_store import Shelf
from lifeboat.evidence.manifest_workflow import prune_manifests
from lifeboat.evidence.request import CompareManifests

BUCKET, OWN, ACCOUNT = "cadoresponse-1", "lifeboat-manifests", "123456789012"
VARIABLES = {
    "LIFEBOAT_STACK": "lifeboat",
    "AWS_REGION": "eu-west-1",
    "LIFEBOAT_TABLE": "state",
    "LIFEBOAT_TOPIC": f"arn:aws:sns:eu-west-1:{ACCOUNT}:topic",
    "LIFEBOAT_EVIDENCE_BUCKET": BUCKET,
    "LIFEBOAT_MANIFEST_BUCKET": OWN,
}
SHELF = Shelf(BUCKET, OWN, ACCOUNT)
KEYS = ("imports/1/a", "imports/1/b", "imports/2/a", "imports/2/c", "imports/ä/a", "top")
RULE = LifecycleRule("old", True, "imports/2/", {"ID": "old"}, expires_days=1)


@dataclass
class Context:
    """Lambda's, with time for so many pages."""

    pages: int

    def get_remaining_time_in_millis(self) -> int:
        self.pages -= 1
        return 900_000 if self.pages > 0 else 1_000


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time that each manifest is begun at; a test moves it."""
    times = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: times[-1])
    return times


@pytest.fixture(autouse=True)
def s3(monkeypatch: pytest.MonkeyPatch, now: list[datetime]) -> Iterator[Any]:
    """A versioned bucket with six objects that is listed three versions at a time, and the stack's own bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(evidence_bucket, "PAGE", 3)
    monkeypatch.setattr(listing_workflow, "PAGES_A_CHECKPOINT", 1)
    clients.forget()
    with mock_aws():
        clients.dynamodb().create_table(
            TableName="state",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        clients.sns().create_topic(Name="topic")
        client = clients.s3()
        for bucket in (BUCKET, OWN):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in KEYS:
            client.put_object(Bucket=BUCKET, Key=key, Body=b"12345")
        yield client
    clients.forget()


def invocation(pages: int = 100, **more: str) -> Invocation:
    context: Any = Context(pages)
    return Invocation(load({**VARIABLES, **more}), context)


def write(now: list[datetime], *, rules: tuple[LifecycleRule, ...] = (), pages: int = 100, **more: str) -> Listed:
    """The next night's listing with its manifest, in invocations that have time for so many pages."""
    now.append(now[-1] + timedelta(days=1))
    while True:
        if listed := count_versions(BUCKET, rules, invocation(pages, **more)):
            return listed


def index_of(listed: Listed) -> Index:
    assert listed.written
    assert listed.written.index
    return listed.written.index


def lost_lines(index: Index) -> list[dict[str, Any]]:
    numbers = range(1, index.lost_parts + 1)
    return [dict(line) for number in numbers for line in SHELF.read_part(index, manifest.LOST, number)]


def test_a_manifest_has_a_line_for_each_version_and_one_for_each_folder(now: list[datetime], s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="imports/1/b", Body=b"new")
    s3.delete_object(Bucket=BUCKET, Key="top")
    index = index_of(write(now))
    lines = [line for number in range(1, index.parts + 1) for line in SHELF.read_part(index, manifest.OBJECTS, number)]
    listed = s3.list_object_versions(Bucket=BUCKET)
    expected = {(item["Key"], item["VersionId"]) for item in (*listed["Versions"], *listed["DeleteMarkers"])}
    assert {(line["key"], line["version_id"]) for line in lines if "key" in line} == expected
    assert len([line for line in lines if "key" in line]) == len(expected) == index.versions
    folders = {line["folder"]: (line["objects"], line["size"]) for line in lines if "folder" in line}
    assert folders == {"imports/1": (2, 8), "imports/2": (2, 10), "imports/ä": (1, 5), "": (0, 0)}
    assert (index.objects, index.size, index.folders, index.before) == (5, 23, 4, "")
    [first] = [line for line in lines if line.get("key") == "imports/1/a"]
    assert (first["etag"], first["storage_class"]) == ("827ccb0eea8a706c4c34a16891f84e7b", "STANDARD")


def test_what_went_is_named_with_its_fate(now: list[datetime], s3: Any) -> None:
    before = index_of(write(now))
    kept = {item["Key"]: item["VersionId"] for item in s3.list_object_versions(Bucket=BUCKET)["Versions"]}
    marker = s3.delete_object(Bucket=BUCKET, Key="imports/1/a")["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="imports/2/a", VersionId=kept["imports/2/a"])
    s3.put_object(Bucket=BUCKET, Key="imports/1/b", Body=b"other")
    s3.put_object(Bucket=BUCKET, Key="top", Body=b"12345")
    now.append(now[-1] + timedelta(days=3))
    index = index_of(write(now, rules=(RULE,)))
    found = {line["key"]: line for line in lost_lines(index)}
    assert {key: (line["fate"], line["kept"]) for key, line in found.items()} == {
        "imports/1/a": ("lost", True),
        "imports/1/b": ("replaced", True),
        "imports/2/a": ("lost", False),
    }, "the same content again is no loss"
    assert (found["imports/1/a"]["delete_marker"], found["imports/2/a"]["rule"]) == (marker, "old")
    losses = index.losses
    assert (losses.objects, losses.size, losses.expired, losses.hidden, losses.replaced) == (2, 10, 1, 1, 1)
    assert (index.before, index.smaller) == (before.id, ("4 objects instead of 6", "20 bytes instead of 30"))
    assert index_of(write(now)).losses.objects == 0, "once"


@pytest.mark.parametrize("pages", [2, 3])
def test_a_manifest_that_is_cut_off_is_as_one_that_is_not(now: list[datetime], s3: Any, pages: int) -> None:
    for _ in range(4):  # a key whose versions fill more than a page
        s3.put_object(Bucket=BUCKET, Key="imports/2/a", Body=b"12345")
    write(now)
    for key in ("imports/1/b", "imports/2/a", "top"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    listed = write(now, pages=pages)
    assert [line["key"] for line in lost_lines(index_of(listed))] == ["imports/1/b", "imports/2/a", "top"]
    assert [line["kept"] for line in lost_lines(index_of(listed))] == [True, True, True]
    assert listed.tally.objects == 3
    assert len([*SHELF.read_versions(index_of(listed))]) == listed.tally.versions


def test_whichever_call_fails_the_manifest_is_the_same(now: list[datetime], s3: Any) -> None:
    write(now)
    for key in ("imports/1/b", "imports/2/a", "top"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    listing = index_of(write(now))
    expected = lost_lines(listing)
    left: list[int] = []

    def fail(**_: Any) -> None:
        if left and not left.pop():
            raise AwsError("SlowDown", "Please reduce your request rate.", answered=True)

    s3.meta.events.register("provide-client-params.s3", fail)
    for number in range(0, 100, 2):  # each second call
        s3.delete_object(Bucket=OWN, Key=manifest.key_of_index(BUCKET, listing.id))
        left[:] = [0, *[1] * number]
        try:
            count_versions(BUCKET, (), invocation())
        except AwsError:
            assert count_versions(BUCKET, (), invocation())
        ended = bool(left)
        left.clear()
        found = SHELF.read_index(listing.id)
        assert (lost_lines(found), found.losses) == (expected, listing.losses), f"call {number} failed"
        if ended:
            break
    assert 10 < number < 98


@pytest.mark.parametrize("pages", [100, 2], ids=["in one invocation", "in several"])
def test_what_went_is_published_though_the_invocation_ended_before_its_message(
    now: list[datetime], s3: Any, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    """Also days later. No attempt may compare with the manifest of one that has published nothing."""
    before = index_of(write(now))
    for key in KEYS[:3]:
        s3.delete_object(Bucket=BUCKET, Key=key)
    real, events, ends = topic.publish, [], [True, True, False]

    def publish(arn: str, message: Any) -> None:
        if ends.pop(0):
            raise AwsError("InternalError", "as planted", answered=True)
        real(arn, message)
        events.append((message.event, message.details["compared_with"], message.details["lost_objects"]))

    monkeypatch.setattr(topic, "publish", publish)
    for _ in range(2):
        with pytest.raises(AwsError, match="as planted"):
            write(now, pages=pages)
    listed = write(now, pages=pages)
    assert events == [("EvidenceLost", before.id, 3)]
    assert [line["key"] for line in lost_lines(index_of(listed))] == [*KEYS[:3]]
    assert index_of(write(now)).before == index_of(listed).id


def test_what_went_is_published_once_though_the_invocation_ended_before_its_index(
    now: list[datetime], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(now)
    s3.delete_object(Bucket=BUCKET, Key="top")
    real, events, write_index = topic.publish, [], Shelf.write_index

    def publish(arn: str, message: Any) -> None:
        real(arn, message)
        events.append(message.details["manifest"])

    def end(*_: Any) -> None:
        raise AwsError("InternalError", "as planted", answered=True)

    monkeypatch.setattr(topic, "publish", publish)
    monkeypatch.setattr(Shelf, "write_index", end)
    with pytest.raises(AwsError, match="as planted"):
        write(now)
    monkeypatch.setattr(Shelf, "write_index", write_index)
    listed = write(now)
    assert events == [index_of(listed).id]
    assert SHELF.list_ids()[-1] == index_of(listed).id


def test_manifests_that_were_all_removed_are_missed(now: list[datetime], s3: Any) -> None:
    """Whoever deletes evidence may remove first what would show it."""
    for _ in range(2):
        before = index_of(write(now))
    for name in SHELF.list_ids():
        s3.delete_object(Bucket=OWN, Key=manifest.key_of_index(BUCKET, name))
    s3.delete_object(Bucket=BUCKET, Key="top")
    listed = write(now)
    assert listed.written
    [finding] = manifest_workflow.judge_manifest(listed.written)
    assert finding.text.endswith(f"with the bucket: evidence/{BUCKET}/index/{before.id}.json is not there any more")
    again = write(now)
    assert again.written
    assert manifest_workflow.judge_manifest(again.written) == (), "there is one to compare with"


def test_what_s3_refuses_hinders_no_listing(now: list[datetime], s3: Any) -> None:
    listed = write(now, LIFEBOAT_MANIFEST_BUCKET="another")
    assert listed.tally.objects == 6
    assert listed.written
    [finding] = manifest_workflow.judge_manifest(listed.written)
    assert finding.text.startswith("The manifest of the bucket was not written: NoSuchBucket: ")


def test_a_manifest_that_cannot_be_read_is_a_finding_and_the_next_night_compares_again(
    now: list[datetime], s3: Any
) -> None:
    before = index_of(write(now))
    s3.put_object(Bucket=OWN, Key=manifest.key_of_part(BUCKET, before.id, manifest.OBJECTS, 2), Body=b"torn")
    listed = write(now)
    assert listed.written
    [finding] = manifest_workflow.judge_manifest(listed.written)
    assert finding.subject == "comparison"
    assert index_of(listed).not_compared.startswith("a part cannot be read: ")
    assert index_of(write(now)).before == index_of(listed).id


def test_an_emptied_bucket_is_named_in_parts(now: list[datetime], s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_workflow, "LINES", 2)
    write(now)
    for item in s3.list_object_versions(Bucket=BUCKET)["Versions"]:
        s3.delete_object(Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"])
    index = index_of(write(now))
    assert [line["key"] for line in lost_lines(index)] == sorted(KEYS)
    assert (index.lost_parts, index.parts, index.objects) == (3, 0, 0)


def test_old_manifests_are_hidden_with_their_parts(
    now: list[datetime], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "KEPT", 2)
    monkeypatch.setattr(manifest, "RECENT", 1)
    ids = [index_of(write(now)).id for _ in range(3)]
    s3.put_object(Bucket=OWN, Key=manifest.key_of_part(BUCKET, "20200101T000000Z", manifest.OBJECTS, 1), Body=b"x")
    prune_manifests(invocation())
    assert SHELF.list_ids() == tuple(ids[1:])
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=OWN)["Contents"]]
    assert {key.split("/")[3].removesuffix(".json") for key in keys} == set(ids[1:])


def test_of_manifests_of_one_day_the_newest_is_kept() -> None:
    ids = ["20261122T010000Z", "20261122T020000Z", *(f"20261123T0{hour}0000Z" for hour in range(5))]
    assert manifest.choose_kept(ids) == {ids[1], *ids[-3:]}, "and the last three of all"


def test_two_manifests_are_compared_by_hand_answer_by_answer(
    now: list[datetime], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_workflow, "NAMED", 2)
    with pytest.raises(BadRequest, match="there is no manifest yet"):
        compare_manifests(CompareManifests("oldest"), invocation())
    before = index_of(write(now))
    for key in ("imports/1/b", "imports/2/a", "top"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    newest = index_of(write(now))
    answer = compare_manifests(CompareManifests("oldest"), invocation())
    assert (answer["manifest"], answer["compared_with"], answer["lost_objects"]) == (before.id, newest.id, 3)
    assert answer["more_after"] == "imports/2/a"
    rest = compare_manifests(CompareManifests(before.id, answer["more_after"]), invocation())
    assert [line["key"] for line in (*answer["lost"], *rest["lost"])] == ["imports/1/b", "imports/2/a", "top"]
    assert (rest["more_after"], "lost_objects" in rest) == ("", False)
    monkeypatch.setattr(compare_workflow, "NAMED", 1)
    found = compare_manifests(CompareManifests(before.id, "imports/1/b"), invocation())
    assert ([line["key"] for line in found["lost"]], found["more_after"]) == (["imports/2/a"], "imports/2/a")
    with pytest.raises(BadRequest, match="compare is 20200101T000000Z, expected one of the manifests"):
        compare_manifests(CompareManifests("20200101T000000Z"), invocation())


SIZES = [
    ("the first manifest", None, (10, 100), (), (10, 100)),
    ("more", (10, 100), (12, 90), (), (12, 100)),
    ("a little less", (10, 100), (9, 90), (), (10, 100)),
    ("much less", (10, 100), (8, 100), ("8 objects instead of 10",), (8, 100)),
    ("fewer bytes", (10, 100), (10, 89), ("89 bytes instead of 100",), (10, 89)),
]


@pytest.mark.parametrize(("peak", "found", "smaller", "after"), [case[1:] for case in SIZES], ids=[c[0] for c in SIZES])
def test_much_smaller_begins_at_a_tenth_less_than_the_peak(peak: Any, found: Any, smaller: Any, after: Any) -> None:
    known = manifest.Peak(*peak) if peak else None
    assert manifest.compare_sizes(known, *found) == (smaller, manifest.Peak(*after))
