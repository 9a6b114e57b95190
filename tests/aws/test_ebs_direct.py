"""Lists of blocks: an empty page is not the end, and there is an end to empty pages."""

from __future__ import annotations

from typing import Any

import pytest

from lifeboat.aws import clients, ebs_direct
from lifeboat.aws.errors import AwsError


def answering(monkeypatch: pytest.MonkeyPatch, call: str, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    """What the EBS direct APIs are asked. The last answer comes again and again."""
    asked: list[dict[str, Any]] = []

    def answer(**what: Any) -> dict[str, Any]:
        asked.append(what)
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(clients.ebs(), call, answer)
    return asked


@pytest.fixture(autouse=True)
def region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    clients.forget()
    yield
    clients.forget()


def test_a_list_goes_on_after_an_empty_page(monkeypatch):
    block = {"BlockIndex": 7, "SecondBlockToken": "t"}
    asked = answering(
        monkeypatch,
        "list_changed_blocks",
        {"ChangedBlocks": [], "NextToken": "a"},
        {"ChangedBlocks": [block], "NextToken": "b"},
    )
    page = ebs_direct.first_not_empty(
        lambda token: ebs_direct.list_changed_blocks("snap-1", "snap-2", 0, page_token=token)
    )
    assert (dict(page.tokens), page.next_block) == ({7: ("", "t")}, 8)
    assert [item.get("NextToken") for item in asked] == [None, "a"]


def test_the_last_page_may_be_empty(monkeypatch):
    asked = answering(monkeypatch, "list_snapshot_blocks", {"Blocks": []})
    page = ebs_direct.first_not_empty(lambda token: ebs_direct.list_blocks("snap-1", 0, page_token=token))
    assert (dict(page.tokens), page.next_block, len(asked)) == ({}, None, 1)


def test_empty_pages_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(ebs_direct, "MOST_EMPTY", 5)
    asked = answering(monkeypatch, "list_snapshot_blocks", {"Blocks": [], "NextToken": "again"})
    with pytest.raises(AwsError, match="EBS answered 5 empty pages of one list in a row") as refused:
        ebs_direct.first_not_empty(lambda token: ebs_direct.list_blocks("snap-1", 0, page_token=token))
    assert (len(asked), refused.value.passes) == (5, False)
