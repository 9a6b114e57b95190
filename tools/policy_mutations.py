"""Mutation test of the policies in template.yaml.

Each mutant removes one statement, action, condition, key or value, or widens one resource or action. At least one
question of tests/security/battery.py must get another answer for each mutant.

`python -m tools.policy_mutations` prints the score and the surviving mutants, and fails if there is one.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.security.battery import differences
from tools.docs_template import TEMPLATE, read_template
from tools.policy_roles import Asked, Policies, Statement, deployed


@dataclass(frozen=True)
class Mutant:
    """One owner's statements with one change."""

    owner: str
    change: str
    statements: list[Statement]

    def survives(self) -> bool:
        """Whether every question gets the expected answer."""
        return not differences(self.owner, Asked([{"Statement": self.statements}]), first=True)


def mutants(policies: Policies) -> Iterator[Mutant]:
    """Every policy with one change."""
    for owner, statements in policies.items():
        for number, statement in enumerate(statements):
            yield Mutant(owner, f"{statement['Sid']} removed", statements[:number] + statements[number + 1 :])
            for change, changed in [*_narrowed(statement), *_widened(statement)]:
                replaced = [*statements[:number], changed, *statements[number + 1 :]]
                yield Mutant(owner, f"{statement['Sid']} {change}", replaced)


def _narrowed(statement: Statement) -> Iterator[tuple[str, Statement]]:
    actions = statement["Action"]
    if isinstance(actions, list) and len(actions) > 1:
        for action in actions:
            yield f"without {action}", {**statement, "Action": [item for item in actions if item != action]}
    for operator, pairs in statement.get("Condition", {}).items():
        for key, value in pairs.items():
            if isinstance(value, list) and len(value) > 1:
                for item in value:
                    changed = copy.deepcopy(statement)
                    changed["Condition"][operator][key] = [other for other in value if other != item]
                    yield f"without {item} in {key}", changed


def _widened(statement: Statement) -> Iterator[tuple[str, Statement]]:
    conditions = statement.get("Condition", {})
    if conditions:
        yield "without its condition", {key: value for key, value in statement.items() if key != "Condition"}
    for operator, pairs in conditions.items():
        for key in pairs:
            changed = copy.deepcopy(statement)
            del changed["Condition"][operator][key]
            if not changed["Condition"][operator]:
                del changed["Condition"][operator]
            yield f"without {operator} {key}", changed
    if statement["Resource"] != "*":
        yield "on everything", {**statement, "Resource": "*"}
    service = (statement["Action"] if isinstance(statement["Action"], str) else statement["Action"][0]).split(":")[0]
    yield f"for {service}:*", {**statement, "Action": f"{service}:*"}
    if "Principal" in statement:
        yield "for every principal", {**statement, "Principal": "*"}


def main() -> int:
    """Print the score and the surviving mutants."""
    all_mutants = list(mutants(deployed(read_template(TEMPLATE.read_text()))))
    survivors = [mutant for mutant in all_mutants if mutant.survives()]
    for mutant in survivors:
        print(f"survived: {mutant.owner}: {mutant.change}")
    print(f"policy mutations: {len(all_mutants) - len(survivors)} of {len(all_mutants)} noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
