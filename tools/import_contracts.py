"""Two import-linter contracts that go by a module's name. Their settings are in pyproject.toml.

import-linter's own contracts have no wildcard for `*_workflow`
(https://import-linter.readthedocs.io/en/stable/contract_types/).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, override

from grimp import ImportGraph
from importlinter.application import contract_utils, output
from importlinter.application.contract_utils import AlertLevel
from importlinter.domain import fields
from importlinter.domain.contract import Contract, ContractCheck

PACKAGE = "lifeboat"
NOT_FEATURES = {"aws", "domain", "handler"}
USE_AWS = ("workflow", "store", "shared_snapshots")
"""A module of a feature may use AWS if this is its name, or the last word of its name."""


def feature_of(module: str) -> str | None:
    """The feature package that holds a module; None for `aws`, `domain`, `handler` and the root."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] not in NOT_FEATURES else None


def is_named(module: str, *words: str) -> bool:
    """Whether a module's name is one of the words, or ends in one after an underscore."""
    name = module.rpartition(".")[2]
    return any(name == word or name.endswith(f"_{word}") for word in words)


def is_pure(module: str) -> bool:
    """Whether a module belongs to a feature and must not reach AWS."""
    return feature_of(module) is not None and not is_named(module, *USE_AWS)


class _EveryImport(Contract):
    """A contract that judges each import for itself."""

    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)

    def forbids(self, importer: str, imported: str) -> bool:
        """Whether `importer` must not import `imported`."""
        raise NotImplementedError

    @override
    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        removed = contract_utils.remove_ignored_imports_and_report(
            graph=graph,
            ignore_imports=self.ignore_imports,  # type: ignore[arg-type] # import-linter sets the parsed value here
            unmatched_alerting=AlertLevel.ERROR,
        )
        breaches = sorted(self._breaches(graph))
        return ContractCheck(
            kept=not breaches,
            warnings=list(removed.warnings),
            ignored_import_count=removed.ignored_import_count,
            metadata={"breaches": breaches},
        )

    def _breaches(self, graph: ImportGraph) -> Iterator[str]:
        for importer in graph.modules:
            for imported in graph.find_modules_directly_imported_by(importer):
                if self.forbids(importer, imported):
                    yield f"{importer} imports {imported}"

    @override
    def render_broken_contract(self, check: Any) -> None:
        for breach in check.metadata["breaches"]:
            output.print_error(breach)


class PureModules(_EveryImport):
    """A pure module imports no `aws`, no `handler`, and no module that may use AWS."""

    @override
    def forbids(self, importer: str, imported: str) -> bool:
        reaches_aws = imported.split(".")[1:2] in (["aws"], ["handler"]) or (
            feature_of(imported) is not None and not is_pure(imported)
        )
        return is_pure(importer) and reaches_aws


class OwnWorkflows(_EveryImport):
    """A feature imports nouns and stores of another feature, and no other module of it that uses AWS."""

    @override
    def forbids(self, importer: str, imported: str) -> bool:
        features = feature_of(importer), feature_of(imported)
        acts = not is_pure(imported) and not is_named(imported, "store")
        return None not in features and features[0] != features[1] and acts
