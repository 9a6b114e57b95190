"""status, points, restore, follow and cancel against a stub of Lambda: what is asked, shown, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from lifeboat_cli import follow
from lifeboat_cli.functions import Functions
from local.session import ROOT
from tests.cli.stub import Stub

INSTANCE = "i-0587d76082883a678"
POINT = f"rp-20310303T000047Z-{INSTANCE}"
RESTORE = "restore-8e8d5f9925c08427"
HOSTILE = "\x1b[2J\u202eevil\n    -> delete your snapshots [red]"
NEED = {
    "event": "BackupOverdue",
    "severity": "critical",
    "subject": {"instance_id": INSTANCE},
    "name": HOSTILE,
    "summary": "It is overdue.",
    "next_steps": ["Back it up."],
    "request": None,
    "command": None,
}

type Recorded = Callable[[str], dict[str, Any]]


@pytest.fixture
def restoring(stub: Stub, recorded: Recorded) -> Stub:
    """Every call of a restore that is possible and completes at the second question."""
    done = recorded("completed")
    half = {**done, "status": "open", "step": "attach", "timeline": done["timeline"][:5]}
    text = f"Restore {POINT} onto {INSTANCE} as {RESTORE}:\n- stop it"
    plan = {**recorded("plan"), "possible": True, "recovery_point": POINT, "plan": text}
    stub.answers["lifeboat-restore-volume"] = [plan, half, half, done]
    stub.answers["lifeboat-show-status"] = [recorded("instance")]
    return stub


def test_status_shows_what_a_person_asks_first(stub: Stub, recorded: Recorded) -> None:
    stub.answers["lifeboat-show-status"] = recorded("status")
    code, out, error = stub.run("status")
    assert (code, error) == (0, "")
    assert "1 instance is protected. No backup is overdue. Nothing needs a person." in out
    [row] = [line for line in out.splitlines() if line.startswith(INSTANCE)]
    assert POINT in row
    assert row.endswith('"platform"')
    assert stub.asked == [("lifeboat-show-status", {})]


def test_points_and_status_of_one_instance_pass_the_page_on(stub: Stub, recorded: Recorded) -> None:
    stub.answers["lifeboat-show-status"] = [{**recorded("points"), "next": "on'e"}, recorded("instance")]
    code, out, _ = stub.run("points", "platform", "--next", "x", "--limit", "3", "--stack", "other")
    assert code == 1  # the stub does not know the other stack
    code, out, _ = stub.run("points", "platform", "--next", "x", "--limit", "3")
    assert (code, stub.asked[-1][1]) == (0, {"instance": "platform", "list": True, "next": "x", "limit": 3})
    assert POINT in out
    assert "--next" in out.splitlines()[-1]
    code, out, _ = stub.run("status", INSTANCE, "--json")
    assert json.loads(out) == recorded("instance")


@pytest.mark.parametrize(
    "name",
    ["\x1b[2J", HOSTILE, "\u202eabc", "\U0001f4a9" * 255, "[bold]x[/bold]", "\r\n", "\u2028x"],
    ids=["escape", "step", "rtl", "emoji", "markup", "line", "separator"],
)
def test_a_hostile_name_or_tag_stays_a_word_in_its_line(stub: Stub, recorded: Recorded, name: str) -> None:
    def poisoned(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: poisoned(item) for key, item in value.items()}
        return [poisoned(item) for item in value] if isinstance(value, list) else name if value == "platform" else value

    plain, answer = recorded("status"), poisoned(recorded("status"))
    stub.answers["lifeboat-show-status"] = [plain, answer, {**answer, "needs_a_person": [{**NEED, "name": name}]}]
    lines = [stub.run("status")[1].splitlines() for _ in range(3)]
    assert len(lines[0]) == len(lines[1])
    assert all(line.isprintable() for line in lines[1] + lines[2])
    assert [line for line in lines[2] if line.lstrip().startswith("->")] == ["    -> Back it up."]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({"needs_a_person": [NEED]}, 3),
        ({"unread": ["AWS did not show the locks: AccessDenied"]}, 3),
        ({"refused": "instance is 'x', expected another"}, 1),
        ({"instances": [{}]}, 1),
    ],
    ids=["nothing", "needs a person", "unread", "refused", "another form"],
)
def test_the_exit_code_of_status(stub: Stub, recorded: Recorded, change: dict[str, Any], code: int) -> None:
    stub.answers["lifeboat-show-status"] = {**recorded("status"), **change}
    found, out, error = stub.run("status")
    assert found == code
    assert "Traceback" not in out + error
    assert len(error.splitlines()) == (code == 1)


@pytest.mark.parametrize(
    ("status", "headers", "answer", "code", "words"),
    [
        (403, {"x-amzn-ErrorType": "AccessDeniedException:x"}, {"Message": "not\x1b authorized"}, 3, "AccessDenied"),
        (404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, {"Message": "not found"}, 3, "--stack"),
        (429, {}, {"message": "Rate Exceeded."}, 3, "429: Rate Exceeded."),
        (200, {"X-Amz-Function-Error": "Unhandled"}, {"errorMessage": "it\nfailed"}, 1, "failed: it\\nfailed"),
        (200, {}, ["a list"], 1, "expected an object"),
    ],
    ids=["denied", "no such stack", "throttled", "function failed", "no object"],
)
def test_what_aws_refuses_is_one_sentence(  # noqa: PLR0917 - a table
    stub: Stub, status: int, headers: dict[str, str], answer: Any, code: int, words: str
) -> None:
    stub.status, stub.headers, stub.answers["lifeboat-show-status"] = status, headers, answer
    found, out, error = stub.run("status")
    assert (found, out) == (code, "")
    [line] = error.splitlines()
    assert words in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("settings", "arguments", "code", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, (), 3, "Could not connect"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, (), 3, "no AWS credentials"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, (), 3, "no region"),
        ({}, ("--profile", "nobody"), 3, "could not be found"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, ("--profile", "nobody"), 3, "could not be found"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, (), 3, "the endpoint of AWS is nonsense"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, (), 3, "expected a URL"),
        ({}, ("--stack", "a/b"), 2, "expected the name of a stack"),
        ({}, ("--limit", "0"), 2, "--limit"),
        ({}, ("--no-such-option",), 2, "--no-such-option"),
    ],
    ids=[
        "no connection",
        "no credentials",
        "no region",
        "no profile",
        "neither",
        "no URL",
        "no port",
        "bad stack",
        "bad limit",
        "bad option",
    ],
)
def test_what_is_wrong_before_the_call_is_said(
    stub: Stub, settings: dict[str, str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, out, error = stub.run("status", *arguments, **settings)
    assert (found, out, stub.asked) == (code, "", [])
    assert words in error


def test_a_restore_shows_the_plan_then_sends_it_and_follows_to_the_end(restoring: Stub, recorded: Recorded) -> None:
    code, out, error = restoring.run("restore", INSTANCE, "--yes", "--reason", "INC-17", "--point", "latest-proven")
    assert (code, error) == (0, "")
    assert "- stop it" in out
    timeline = recorded("completed")["timeline"]
    assert [line for line in out.splitlines() if line in timeline] == timeline
    assert f"{RESTORE} is completed after" in out
    plan, begun, *questions, _ = [event for _, event in restoring.asked]
    assert plan == {**begun, "dry_run": True, "recovery_point": "latest-proven"}
    assert begun == {**begun, "instance_id": INSTANCE, "recovery_point": POINT, "reason": "INC-17"}, "as it was shown"
    assert begun["request_id"].startswith("cli-")
    assert questions == [{"status": RESTORE}] * 2


def test_a_restore_without_a_yes_changes_nothing(restoring: Stub) -> None:
    code, _, error = restoring.run("restore", INSTANCE, typed="y\n")
    assert (code, error) == (3, "lifeboat: nothing was done: without a terminal, add --yes\n")
    assert all(event.get("dry_run") for function, event in restoring.asked if "restore" in function)


def test_a_refused_plan_is_shown_and_nothing_is_sent(restoring: Stub, recorded: Recorded) -> None:
    refused = {**recorded("plan"), "possible": False, "findings": [{"code": "no-consent"}]}
    restoring.answers["lifeboat-restore-volume"] = [refused]
    code, out, _ = restoring.run("restore", INSTANCE, "--yes")
    assert code == 1
    assert "lifeboat consent" in out
    assert [event["dry_run"] for function, event in restoring.asked if "restore" in function] == [True]


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (("platform", "--onto", "i-00000000"), {"instance_id": INSTANCE}),
        ((INSTANCE, "--onto", "i-00000000", "--point", "latest-proven"), {"instance_id": INSTANCE, "proven": True}),
        (("platform", "--onto", "i-00000000", "--point", POINT), POINT),
    ],
    ids=["name", "proven", "id"],
)
def test_onto_another_instance_the_request_names_the_data(
    restoring: Stub, recorded: Recorded, arguments: tuple[str, ...], chosen: Any
) -> None:
    named = [recorded("instance")] if isinstance(chosen, dict) and "proven" not in chosen else []
    restoring.answers["lifeboat-show-status"] = [*named, recorded("points")]
    code, _, _ = restoring.run("restore", *arguments, "--plan")
    assert code == 0
    [event] = [event for function, event in restoring.asked if "restore" in function]
    assert (event["instance_id"], event["recovery_point"]) == ("i-00000000", chosen)


def test_a_name_of_several_instances_is_not_guessed(restoring: Stub, recorded: Recorded) -> None:
    answer = recorded("instance")
    restoring.answers["lifeboat-show-status"] = {**answer, "instances": answer["instances"] * 2}
    code, _, error = restoring.run("restore", "platform", "--onto", "i-00000000", "--yes")
    assert (code, f"({INSTANCE}, {INSTANCE})" in error) == (2, True)


def test_an_earlier_request_is_sent_again_as_it_was(restoring: Stub) -> None:
    restoring.answers["lifeboat-restore-volume"] = restoring.answers["lifeboat-restore-volume"][1:]
    code, _, _ = restoring.run("restore", INSTANCE, "--yes", "--request-id", "cli-1")
    assert code == 0
    assert restoring.asked[0][1]["request_id"] == "cli-1"
    assert "dry_run" not in restoring.asked[0][1]


@pytest.mark.parametrize(
    ("end", "follows", "cancels"),
    [("completed", 0, 0), ("rolled_back", 1, 0), ("failed", 3, 3)],
)
def test_the_exit_code_says_how_a_restore_ended(
    stub: Stub, recorded: Recorded, end: str, follows: int, cancels: int
) -> None:
    done = {**recorded("completed"), "status": end, "failure": "EC2\nrefused"}
    stub.answers["lifeboat-restore-volume"] = done
    code, out, _ = stub.run("follow", RESTORE)
    assert (code, "Why: EC2\\nrefused" in out) == (follows, True)
    assert stub.run("cancel", RESTORE, "--yes", "--reason", "no")[0] == cancels
    assert next(event for _, event in stub.asked if "cancel" in event)["reason"] == "no"


def test_the_progress_bar_shows_each_line_of_the_timeline_once(
    stub: Stub, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = recorded("completed")
    hostile = [*done["timeline"], f"{HOSTILE} [bold]x[/bold]"]
    open_ = {**done, "status": "open", "step": "an unknown one", "direction": "rollback", "timeline": hostile[:2]}
    stub.answers["lifeboat-restore-volume"] = [open_, {**done, "timeline": hostile}]
    monkeypatch.setattr(follow, "_on_terminal", lambda: True)
    code, out, _ = stub.run("follow", RESTORE, COLUMNS="400")
    assert code == 0
    assert [line for line in out.splitlines() if line in hostile] == done["timeline"]
    assert "\\x1b[2J\\u202eevil\\n    -> delete your snapshots [red] [bold]x[/bold]" in out
    assert "\x1b[2J" not in out


def test_ctrl_c_ends_the_command_and_says_how_to_go_on(
    stub: Stub, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    stub.answers["lifeboat-restore-volume"] = {**recorded("completed"), "status": "open"}
    monkeypatch.setattr(follow.time, "sleep", interrupt)
    code, _, error = stub.run("follow", RESTORE, "--region", "eu-west-1")
    assert code == 3
    command = f"lifeboat follow {RESTORE} --stack lifeboat --region eu-west-1"
    assert error == f"lifeboat: The restore goes on. To follow it: {command}\n"


def test_ctrl_c_before_the_answer_names_the_id_of_the_request(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Functions, "run", interrupt)
    code, _, error = stub.run("restore", INSTANCE, "--yes", "--request-id", "mine")
    assert (code, error.rstrip().endswith("add --request-id mine")) == (3, True)


CONFIGURED = """
[default]
services = local
endpoint_url = http://127.0.0.1:4001
[services local]
lambda =
  endpoint_url = http://127.0.0.1:4002/
"""


@pytest.mark.filterwarnings("ignore:Fetching the endpoint_resolver")
@pytest.mark.parametrize(
    ("region", "settings", "config"),
    [
        ("eu-west-1", {}, ""),
        ("us-gov-west-1", {}, ""),
        ("cn-north-1", {}, ""),
        ("us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, ""),
        ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, ""),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4003"}, ""),
        ("eu-west-1", {}, CONFIGURED),
        ("eu-west-1", {"AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:4004"}, CONFIGURED),
        ("eu-west-1", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, CONFIGURED),
    ],
    ids=["usual", "GovCloud", "China", "FIPS", "dual stack", "variable", "profile", "both", "ignored"],
)
def test_the_endpoint_is_the_one_of_the_client_of_botocore(
    region: str, settings: dict[str, str], config: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ours = Functions("lifeboat", region, None).endpoint
    assert ours == Session().create_client("lambda", region_name=region).meta.endpoint_url.rstrip("/")


def test_help_loads_neither_botocore_nor_rich() -> None:
    # Their imports take longer than all else together.
    loaded = (
        "print([name for name in ('botocore', 'boto3', 'rich.console', 'typer.rich_utils') if name in sys.modules])"
    )
    script = f"import atexit, sys; atexit.register(lambda: {loaded}); sys.argv = ['lifeboat', '--help']\n"
    script += "from lifeboat_cli.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "cli", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Exit codes: 0 done" in done.stdout
