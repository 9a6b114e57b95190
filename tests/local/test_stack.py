"""What drives SAM CLI leaves nothing behind, and what does without it makes the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local import stack
from local.session import REGION, LocalAws

AWAY = "eu-central-1"


def test_what_sam_leaves_in_its_temporary_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam = tmp_path / "sam"
    sam.write_text("#!/bin/sh\nmktemp -d\n")  # as `sam deploy` does for each artifact that it packs
    sam.chmod(0o755)
    monkeypatch.setattr(stack, "SAM_BIN", tmp_path)
    left = Path(stack._sam(["deploy"], {"PATH": "/usr/bin:/bin"}).strip())
    assert left.is_absolute()
    assert not left.exists()
    assert not left.parent.exists()


PARAMETERS = {"VaultAccount": "777788889999", "LargeRuns": "true", "Retention": "last=3 daily=14"}


def test_what_is_created_without_sam_is_what_sam_deploys() -> None:
    with LocalAws({"schedules_fire": False}) as aws:
        stack.build()
        deployed = stack.deploy(aws, parameters=PARAMETERS)
        created = stack.create(aws, PARAMETERS, region=AWAY)
        assert list(created) == list(deployed)
        assert _described(aws, AWAY, created) == _described(aws, REGION, deployed)


def test_a_stack_name_too_long_for_the_functions_is_refused_in_the_words_of_lambda() -> None:
    with LocalAws({"schedules_fire": False}) as aws:
        stack.build()
        with pytest.raises(
            stack.StackError, match=r"-confirm-snapshots' at 'functionName' .* less than or equal to 64"
        ):
            stack.create(aws, stack_name="a" * 47)
        assert stack.create(aws, stack_name="b" * 46)


def _described(aws: LocalAws, region: str, outputs: Mapping[str, str]) -> tuple[Any, ...]:
    """What was made there, but for its names."""
    resources = aws.client("cloudformation", region).describe_stack_resources(StackName="lifeboat")["StackResources"]
    functions = {
        name: aws.client("lambda", region).get_function_configuration(FunctionName=made)
        for name, made in outputs.items()
        if name.endswith("Function")
    }
    return (
        # SAM names a layer after where its content is, too.
        sorted((item["LogicalResourceId"][:13], item["ResourceType"]) for item in resources if "Layer" in str(item)),
        sorted((item["LogicalResourceId"], item["ResourceType"]) for item in resources if "Layer" not in str(item)),
        # Not the zips: they hold what Python left in the build folder, and the time.
        {name: (made["Handler"], made["Timeout"], made["MemorySize"]) for name, made in functions.items()},
        {
            name: made["Environment"]["Variables"]["LIFEBOAT_RETENTION"]
            for name, made in functions.items()
            if "Prune" in name
        },
    )
