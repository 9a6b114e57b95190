"""doctor and coverage against a stub of Lambda: their lines, exit codes, and a function that does not answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.stub import Stub

PLACE = {"at": "2026-11-23T02:00:00Z", "stack": "lifeboat", "region": "eu-west-1", "account": "111122223333"}


def line(level: str, *commands: str, advice: str = "") -> dict[str, Any]:
    return {"check": "rules", "level": level, "text": f"a {level}\x1b[2J", "commands": [*commands], "advice": advice}


def answer(*lines: dict[str, Any], rehearse: tuple[str, ...] = ()) -> dict[str, Any]:
    return {**PLACE, "deployed_at": PLACE["at"], "counts": {}, "lines": [*lines], "rehearse": [*rehearse]}


@pytest.mark.parametrize(("levels", "code"), [(("ok",), 0), (("ok", "warn"), 0), (("warn", "fail"), 1)])
def test_the_exit_code_is_that_of_the_worst_line(stub: Stub, levels: tuple[str, ...], code: int) -> None:
    stub.answers["lifeboat-check-stack"] = answer(*map(line, levels))
    found, out, error = stub.run("doctor")
    assert (found, error) == (code, "")
    assert "\x1b" not in out
    assert out.splitlines()[-1] == ", ".join(f"{levels.count(level)} {level}" for level in ("ok", "warn", "fail"))


def test_a_fault_is_shown_with_its_commands_in_their_order(stub: Stub) -> None:
    stub.answers["lifeboat-check-stack"] = answer(line("fail", "aws a", "aws b", advice="Then wait."))
    _, out, _ = stub.run("doctor")
    assert out.splitlines()[2:5] == ["      $ aws a", "      then $ aws b", "      -> Then wait."]


def test_what_is_not_judged_has_the_command_that_judges_it(stub: Stub) -> None:
    stub.answers["lifeboat-check-stack"] = answer(line("ok", advice="To judge it: aws a"))
    assert stub.run("doctor")[1].splitlines()[2] == "      -> To judge it: aws a"


def test_the_rehearsals_are_gathered_and_one_that_fails_is_a_fault(stub: Stub) -> None:
    stub.answers["lifeboat-check-stack"] = answer(line("ok"), rehearse=("take-snapshots", "prune-snapshots"))
    stub.answers["lifeboat-take-snapshots"] = {"lines": [line("ok")]}
    code, out, _ = stub.run("doctor", "--json")
    assert code == 1
    assert json.loads(out)["counts"] == {"ok": 2, "warn": 0, "fail": 1}
    assert json.loads(out)["lines"][-1]["text"].startswith("prune-snapshots did not rehearse its calls:")
    assert stub.asked[1:] == [
        (f"lifeboat-{name}", {"rehearse": True}) for name in ("take-snapshots", "prune-snapshots")
    ]


def test_without_rehearsal_only_the_check_is_asked(stub: Stub) -> None:
    stub.answers["lifeboat-check-stack"] = answer(line("ok"), rehearse=("take-snapshots",))
    assert stub.run("doctor", "--no-rehearse")[0] == 0
    assert stub.asked == [("lifeboat-check-stack", {})]


@pytest.mark.parametrize(("levels", "code"), [({"ok": 1, "warn": 0}, 0), ({"ok": 1, "warn": 2}, 3)])
def test_coverage_shows_each_gap_and_its_command(stub: Stub, levels: dict[str, int], code: int) -> None:
    gaps = [line("warn", "aws a") for _ in range(levels["warn"])]
    stub.answers["lifeboat-check-stack"] = {**answer(line("ok"), *gaps), "counts": {**levels, "fail": 0}}
    found, out, _ = stub.run("coverage")
    assert found == code
    assert out.count("$ aws a") == levels["warn"]
    assert stub.asked == [("lifeboat-check-stack", {"coverage": True})]
