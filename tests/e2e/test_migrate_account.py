"""Moving the platform to another account, by the very commands of docs/migrate.md."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping

import pytest

from local.session import HOME_ACCOUNT, ROOT
from tests.e2e.stage import DEVICE, Machine, Stage, tag_list, tags_of
from tests.e2e.test_migrate import FRESH_DEVICE, OWN_TAGS, expect_fidelity, wipe_out
from tests.e2e.vault_cases import DISK, VAULT, Accounts, two_accounts

OLD_ACCOUNT, NEW_ACCOUNT = "111122223333", "777788889999"
"""As the page has them, and the local AWS, too."""


def commands() -> list[list[str]]:
    """The page's commands, in their order."""
    page = (ROOT / "docs" / "migrate.md").read_text()
    section = page.split("\n## To another account\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


def option(command: list[str], name: str) -> list[str]:
    """What follows an option, up to the next one."""
    rest = command[command.index(name) + 1 :]
    end = next((at for at, word in enumerate(rest) if word.startswith("--")), len(rest))
    return rest[:end]


def run(stage: Stage, command: list[str], names: Mapping[str, str]) -> dict[str, object]:
    """Do what a command of the page does, with these ids in place of its examples."""
    words = [_named(word, names) for word in command]
    if words[:3] == ["sam", "remote", "invoke"]:
        return stage.invoke(words[3], json.loads(option(words, "--event")[0]))
    assert words[:3] == ["aws", "ec2", "create-tags"], command
    [tag] = option(words, "--tags")
    key, value = re.fullmatch(r"Key=(.+),Value=(.+)", tag).groups()  # type: ignore[union-attr]
    stage.ec2.create_tags(Resources=option(words, "--resources"), Tags=[{"Key": key, "Value": value}])
    return {}


def _named(word: str, names: Mapping[str, str]) -> str:
    for example, real in names.items():
        word = re.sub(rf"{example}\b", real, word)
    return word


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    assert (HOME_ACCOUNT, VAULT) == (OLD_ACCOUNT, NEW_ACCOUNT)
    with two_accounts() as made:
        yield made


def test_to_another_account_by_the_commands_of_the_page(accounts):
    to_source, to_vault, look, last, consent, plan, go, save = commands()
    assert option(to_source, "--parameter-overrides") == [f"VaultAccount={VAULT}"]
    assert [word.split("=")[0] for word in option(to_vault, "--parameter-overrides")] == [
        *("VaultSourceAccounts", "VaultReaderRoleArns", "VaultKmsKeyArn", "LockMode", "LockDays"),
    ]

    platform = accounts.launch()
    accounts.source.ec2.create_tags(Resources=[platform.volume_id], Tags=tag_list(OWN_TAGS))
    names = {"i-OLD": platform.instance_id}
    run(accounts.source, last, names)
    accounts.source.control.settle()
    run(accounts.source, look, names)
    for _ in range(2):
        run(accounts.vault, look, names)
        accounts.vault.control.settle()
    [told] = [item for item in accounts.vault.news() if item["event"] == "SnapshotsCopied"]
    assert told["subject"]["instance_id"] == f"{HOME_ACCOUNT}/{platform.instance_id}"
    wipe_out(accounts.source)

    fresh = fresh_platform(accounts.vault)
    names |= {"i-FRESH": fresh.instance_id, "vol-FRESHDATA": fresh.volume_id}
    run(accounts.vault, consent, names)
    planned = run(accounts.vault, plan, names)
    assert planned["possible"], planned
    begun = run(accounts.vault, go, names)
    ended = accounts.vault.until_closed(str(begun["restore_id"]))

    assert ended["status"] == "completed", ended
    assert accounts.vault.power(fresh.instance_id) == "running"
    [(volume_id, _)] = accounts.vault.disks(fresh.instance_id).values()
    restored = accounts.vault.volume(volume_id)
    expect_fidelity(restored, DISK, OWN_TAGS)
    assert restored["KmsKeyId"] == accounts.vault_key
    chain = f"{HOME_ACCOUNT}/{platform.volume_id}"
    assert tags_of(restored)["lifeboat:chain"] == chain

    run(accounts.vault, save, names)
    taken = accounts.vault.back_up(fresh.instance_id)
    assert tags_of(taken[volume_id])["lifeboat:chain"] == chain
    assert accounts.vault.denied() == []


def fresh_platform(stage: Stage) -> Machine:
    """Without any tag: consent and selection are the page's."""
    disks = {FRESH_DEVICE: {"VolumeSize": 10, "VolumeType": "gp3"}}
    [machine] = stage.launch(disks=disks, tags={"Name": "fresh"}, volume_tags={})
    assert DEVICE not in machine.volumes
    return machine
