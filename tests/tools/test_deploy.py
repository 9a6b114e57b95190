"""`make deploy`: a person's parameters are checked, kept in one file, and deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lifeboat.domain.deploy_command import deploy_command
from tools.deploy import HEADER, RefusedError, check, deploy, file_of, save, typed, with_values
from tools.docs_template import read_template

ROOT = Path(__file__).parents[2]
PARAMETERS = read_template((ROOT / "template.yaml").read_text())["Parameters"]


def person() -> dict[str, str]:
    """The environment of a shell. Make says where it enters and leaves if another make began it."""
    shell = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return {**shell, "PYTHONPATH": str(ROOT)}


def test_what_is_typed_after_make_arrives_whole_and_nothing_else_does(tmp_path):
    makefile = tmp_path / "Makefile"
    show = "import json, os; from tools.deploy import typed; print(json.dumps(typed(os.environ)))"
    makefile.write_text(f"all:\n\t@'{sys.executable}' -c '{show}'\n")
    values = {
        "Schedule": "cron(0 2 ? * MON *)",
        "Retention": "last=3 daily=14",
        "NotificationEmail": "",
        "REGION": "x-1",
    }
    words = ["make", "-s", "-j2", "-f", str(makefile), *(f"{name}={value}" for name, value in values.items())]
    environment = {**person(), "TimeZone": "not typed"}
    shown = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(shown) == values
    assert typed({}) == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NotificationMail", "a@b", "NotificationMail is no parameter of the stack; did you mean NotificationEmail?"),
        ("Xyz", "1", "Xyz is no parameter of the stack; docs/reference/parameters.md has all names"),
        ("NotificationEmail", "nobody", "NotificationEmail is 'nobody', expected an e-mail address, or nothing"),
        (
            "VaultAccount",
            "111122223333\n",
            "VaultAccount is '111122223333\\n', expected an account id of 12 digits, or nothing",
        ),
        ("Verify", "none", "Verify is 'none', expected one of off, read, sample, full"),
        ("MinimumKept", "0", "MinimumKept is '0', expected a number from 1 to 1000"),
        ("MinimumKept", "many", "MinimumKept is 'many', expected a number from 1 to 1000"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_sentence(name, value, sentence):
    with pytest.raises(RefusedError) as refused:
        check(name, value, PARAMETERS)
    assert str(refused.value) == sentence


def test_every_default_of_the_template_is_a_value_that_may_be_typed():
    for name, parameter in PARAMETERS.items():
        check(name, str(parameter["Default"]), PARAMETERS)


def test_a_value_takes_the_place_of_its_example_and_of_the_last_one_and_comments_stay():
    once = with_values(HEADER, {"NotificationEmail": "a@b", "MinimumKept": "4"})
    again = with_values(once, {"NotificationEmail": "c@d"})
    assert tomllib.loads(again) == {"NotificationEmail": "c@d", "MinimumKept": "4"}
    assert again.count("NotificationEmail") == 1
    assert "# TrustedAmiOwners" in again


@pytest.mark.parametrize(
    ("stack", "region", "name"),
    [
        ("", "", "parameters.toml"),
        ("lifeboat", "", "parameters.toml"),
        ("", "eu-central-1", "parameters-eu-central-1.toml"),
        ("other", "eu-central-1", "parameters-other-eu-central-1.toml"),
    ],
)
def test_each_stack_has_a_file_of_its_own(stack, region, name):
    assert file_of(stack, region) == name


def test_what_is_refused_changes_nothing_and_what_a_person_wrote_is_checked_too(tmp_path):
    file = tmp_path / "parameters.toml"
    save(file, {"NotificationEmail": "a@b"}, PARAMETERS)
    kept = file.read_text()
    with pytest.raises(RefusedError):
        save(file, {"TimeZone": "UTC", "Verify": "maybe"}, PARAMETERS)
    assert file.read_text() == kept
    for wrong, sentence in (
        ("MinimumKept = 3", "MinimumKept is 3 in parameters.toml, expected a value in double quotes"),
        ("MinimumKept = ", "parameters.toml cannot be read: "),
    ):
        file.write_text(wrong)
        with pytest.raises(RefusedError) as refused:
            save(file, {}, PARAMETERS)
        assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("written", "values", "sentence"),
    [
        (b"# \xe9\n", {}, "parameters.toml cannot be read: 'utf-8' codec"),
        (b'Verify = "off"\nVerify = "read"\n', {}, "parameters.toml cannot be read: Cannot overwrite a value"),
        (b"Verify = off\n", {"Verify": "read"}, "parameters.toml cannot be read: Invalid value"),
        (b'"Verify" = "off"\n', {"Verify": "read"}, "Verify must be changed there by hand; nothing was done"),
        (b'Retention = """last=3,\ndaily=4"""\n', {"Retention": "last=5"}, "Retention must be changed there by hand"),
        (b'[default]\nVerify = "off"\n', {"Verify": "read"}, "Verify must be changed there by hand"),
        (b'a = """\nVerify = "x"\n"""\n', {"Verify": "read"}, "Verify must be changed there by hand"),
        (b"", {"NotificationEmail": "a@b.c\nVerify = off"}, "NotificationEmail is 'a@b.c\\nVerify = off', expected"),
    ],
    ids=["Latin-1", "twice", "broken", "quoted name", "long text", "table", "in a long text", "two lines"],
)
def test_a_file_that_a_person_broke_is_refused_in_one_sentence_and_stays(tmp_path, written, values, sentence):
    file = tmp_path / "parameters.toml"
    file.write_bytes(written)
    with pytest.raises(RefusedError) as refused:
        save(file, values, PARAMETERS)
    assert sentence in str(refused.value)
    assert file.read_bytes() == written


def test_a_file_that_cannot_be_written_or_that_sam_cannot_read_is_refused(tmp_path):
    for file, sentence in (
        (tmp_path / "none" / "x.toml", "cannot be written: No such file or directory"),
        (tmp_path / "x.yaml", "expected a file whose name ends in .toml"),
    ):
        with pytest.raises(RefusedError, match=re.escape(sentence)):
            save(file, {"Verify": "off"}, PARAMETERS)


def test_a_region_keeps_its_file_when_it_becomes_the_persons_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tools.deploy.subprocess.run", lambda *_, **__: subprocess.CompletedProcess((), 1))
    for own, words, name in (
        ("eu-west-1", {"REGION": "eu-central-1", "Verify": "off"}, "parameters-eu-central-1.toml"),
        ("eu-central-1", {"Verify": "full"}, "parameters-eu-central-1.toml"),
        ("eu-west-1", {"Verify": "read"}, "parameters.toml"),
    ):
        monkeypatch.setenv("AWS_DEFAULT_REGION", own)
        monkeypatch.delenv("AWS_REGION", raising=False)
        assert deploy({**words, "MAKEFLAGS": "-- " + " ".join(f"{key}={item}" for key, item in words.items())}) == 1
        assert f'"{words["Verify"]}"' in (tmp_path / name).read_text()


def test_a_deployment_goes_to_the_region_of_the_person():
    text = (ROOT / "Makefile").read_text()
    assert not re.search(r"^export AWS_", text, re.MULTILINE)
    [targets] = re.findall(r"^(.*): export AWS_DEFAULT_REGION", text, re.MULTILINE)
    assert not {"setup", "deploy"} & set(targets.split())


@pytest.mark.parametrize(
    "value", ["a b", "1,x;touch PWNED", "$(touch PWNED)", "`touch PWNED`", "a'b\"c", "$$HOME", "a#b"]
)
def test_the_printed_command_sets_the_value_as_it_is_and_runs_nothing_else(tmp_path, value):
    makefile = tmp_path / "Makefile"
    show = "import json, os; from tools.deploy import typed; print(json.dumps(typed(os.environ)))"
    makefile.write_text(f'deploy:\n\t@"{sys.executable}" -c "{show}"\n')
    command = deploy_command({"SelectTagValue": value}, stack="other", region="eu-west-1")
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=person(), capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == {"STACK": "other", "REGION": "eu-west-1", "SelectTagValue": value}
    assert not (tmp_path / "PWNED").exists()
