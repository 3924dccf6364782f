"""An import contract that import-linter does not have: nothing but what is listed."""

from __future__ import annotations

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """A package that imports itself, the standard library and the packages it is allowed."""

    module = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Holds unless some module of the package imports anything else."""
        package = str(self.module)
        inside = {package, *graph.find_descendants(package)}
        known = sys.stdlib_module_names | set(cast("list[str]", self.allowed))
        foreign = {
            (importer, imported)
            for importer in inside
            for imported in graph.find_modules_directly_imported_by(importer)
            if imported not in inside and imported.split(".")[0] not in known
        }
        return ContractCheck(kept=not foreign, metadata={"foreign": sorted(foreign)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Names each import that is not allowed."""
        for importer, imported in check.metadata["foreign"]:
            output.print_error(f"{importer} imports {imported}")
