"""evidence against a stub of Lambda."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.stub import Stub

GUARD = "lifeboat-guard-evidence"


def compared(*keys: str, more_after: str = "") -> dict[str, Any]:
    return {
        "bucket": "cadoresponse-1",
        "manifest": "20261122T020000Z",
        "compared_with": "20261123T020000Z",
        "begun_at": "2026-11-23T02:00:00Z",
        "objects": 40,
        "objects_now": 38,
        "lost_objects": 2 if keys else 0,
        "lost_bytes": 10,
        "kept_objects": 1,
        "replaced_objects": 0,
        "lost": [{"key": key, "version_id": "v1", "size": 5, "fate": "lost", "kept": True} for key in keys],
        "more_after": more_after,
        "manifests": ["20261122T020000Z", "20261123T020000Z"],
    }


def test_each_lost_object_is_named_over_several_answers(stub: Stub) -> None:
    stub.answers[GUARD] = [{"objects": 38}, compared("a/1", more_after="a/1"), compared("b\n/2")]
    code, out, _ = stub.run("evidence")
    assert code == 3
    assert [event for _, event in stub.asked] == [
        {},
        {"compare": "oldest"},
        {"compare": "20261122T020000Z", "after": "a/1"},
    ]
    assert "lost  yes   5      v1       a/1\n" in out
    assert "b\\n/2" in out
    assert "Of 40 objects of the manifest 20261122T020000Z, 2 with 10 bytes were lost and 0 replaced" in out


def test_the_last_list_is_enough_where_a_person_says_so(stub: Stub) -> None:
    stub.answers[GUARD] = compared()
    code, out, _ = stub.run("evidence", "20261122T020000Z", "--last", "--json")
    assert (code, json.loads(out)) == (0, compared())
    assert stub.asked == [(GUARD, {"compare": "20261122T020000Z"})]


def test_a_list_that_goes_on_is_said(stub: Stub) -> None:
    stub.answers[GUARD] = [{"waits_for": "the next reconcile run"}, compared()]
    code, out, _ = stub.run("evidence")
    assert (code, "The list waits for the next reconcile run." in out) == (0, True)
