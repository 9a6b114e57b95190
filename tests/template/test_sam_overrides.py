"""What our pages and messages have people type after --parameter-overrides means to SAM CLI what it should."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from datetime import timedelta
from pathlib import Path

from lifeboat.retention.policy import parse_policy
from lifeboat.retention.policy_change import Change, Terms, undo_command
from tools.deploy import HEADER, check, with_values
from tools.docs_template import read_template

ROOT = Path(__file__).parents[2]
PARAMETERS = read_template((ROOT / "template.yaml").read_text())["Parameters"]
PYTHON = ROOT / ".tools" / "sam" / "bin" / "python"
READ = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType
read = CfnParameterOverridesType().convert
print(json.dumps([read(tuple(words), None, None) for words in json.load(sys.stdin)]))
"""
POLICY = "last=3 daily=14 weekly=8"
COMMAS = POLICY.replace(" ", ",")


def understood(*commands: str) -> list[dict[str, str]]:
    """What SAM CLI's own parser makes of the words that the shell leaves of each command's option."""
    words = [shlex.split(command.split("--parameter-overrides", 1)[1]) for command in commands]
    return parsed(words)


def parsed(words: list[list[str]]) -> list[dict[str, str]]:
    ran = subprocess.run([PYTHON, "-c", READ], input=json.dumps(words), capture_output=True, text=True, check=True)
    answer: list[dict[str, str]] = json.loads(ran.stdout)
    return answer


def on_pages() -> list[str]:
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text()
        found += [line for line in text.splitlines() if re.match(r"\s*sam deploy .*--parameter-overrides ", line)]
        found += re.findall(r"`([^`]*--parameter-overrides [^`]+)`", text)
    return found


def made() -> list[tuple[str, str]]:
    """What our pages give to `make deploy`, but for examples that a person must fill in."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for line in re.findall(r"make deploy ((?:[^`\s]|'[^']*'| (?! ))+)", page.read_text()):
            words = [word.partition("=") for word in shlex.split(line.split("  ")[0]) if "=" in word]
            found += [(name, value) for name, _, value in words if not name.isupper() and "..." not in value]
    assert len(found) > 8
    return [(name, value) for name, value in found if name != "NAME"]


def test_what_the_pages_have_people_type_sets_parameters_that_there_are_to_what_it_says():
    typed = on_pages()
    assert len(typed) >= 2
    for name, value in made():
        check(name, value, PARAMETERS)
    for command, sets in zip(typed, understood(*typed), strict=True):
        assert sets.keys() <= PARAMETERS.keys(), command
        for name, value in sets.items():
            assert f"{name}={value}" in command or f'{name}="{value}"' in command, command
    assert {"Retention": COMMAS, "MinimumKept": "5"} in understood(*typed)


def test_a_policy_without_double_quotes_is_cut_short_as_the_page_says():
    for command in (f"Retention={POLICY}", f"'Retention={POLICY}'", f'Retention="{POLICY}"'):
        [sets] = understood(f"--parameter-overrides {command}")
        assert sets["Retention"] == "last=3"


def test_a_policy_with_commas_is_read_whole_without_any_quotes():
    [sets] = understood(f"--parameter-overrides Retention={COMMAS} MinimumKept=5")
    assert sets == {"Retention": COMMAS, "MinimumKept": "5"}
    assert str(parse_policy(COMMAS)) == POLICY


def test_sam_reads_each_value_of_a_persons_file_whole(tmp_path):
    values = {
        "NotificationEmail": "you@example.com",
        "Retention": POLICY,
        "Schedule": "cron(0 2 ? * MON-FRI *)",
        "TrustedAmiOwners": "055430919509",
        "VaultSourceAccounts": "",
        "SelectTagValue": 'a"b\\c',
    }
    file = tmp_path / "parameters.toml"
    file.write_text(with_values(HEADER, values))
    assert parsed([[f"file://{file}"]]) == [values]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert config["default"]["deploy"]["parameters"]["parameter_overrides"] == "file://parameters.toml"
    assert "parameters*.toml" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_command_of_retention_changed_puts_the_old_terms_into_force():
    old = Terms(str(parse_policy(POLICY)), "Europe/Berlin", 5, 0, timedelta(hours=48))
    new = Terms("last=3", "UTC", 3, 2, timedelta(days=1))
    command = undo_command(Change(old, new, of_stack=True), (), "lifeboat", "eu-west-1")
    assert command is not None
    make, deploy, *words = shlex.split(command)
    assert (make, deploy) == ("make", "deploy")
    sets = dict(word.split("=", 1) for word in words)
    assert sets.pop("REGION") == "eu-west-1"
    assert sets == {
        "Retention": COMMAS,
        "TimeZone": "Europe/Berlin",
        "MinimumKept": "5",
        "OrphanKeep": "0",
        "GraceHours": "48",
    }
    for name, value in sets.items():
        check(name, value, PARAMETERS)
