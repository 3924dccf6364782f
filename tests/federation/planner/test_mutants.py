"""What `mutants.toml` excuses is code that is there; `mutation.py` tells whether it has to be."""

from __future__ import annotations

import tomllib
from pathlib import Path

from gateway.federation import planner

EXCUSES = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())["harmless"]


def test_every_excuse_has_a_reason_and_is_for_code_that_is_there() -> None:
    folder = Path(str(planner.__file__)).parent
    for excuse in EXCUSES:
        assert excuse["because"]
        for mutant in excuse["mutants"]:
            where, _, change = mutant.partition(": ")
            before, arrow, _ = change.partition(" => ")
            module, *_, function = where.split(".")
            source = " ".join((folder / f"{module}.py").read_text().split())
            assert f"def {function}(" in source, mutant
            assert arrow, mutant
            assert before in source, mutant
