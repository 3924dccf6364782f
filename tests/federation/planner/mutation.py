"""Changes of the planner that no test notices; `python -m tests.federation.planner.mutation`.

mutmut thinks of the changes.  Each is tried in a process of its own, on every operation
of the corpora (alone, then all in a row over one query graph) and on those that have no
plan.  What nobody notices must be in `mutants.toml`, with the reason why no operation
can; the command prints, and fails with, what is missing there and what is there in vain.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import resource
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType, FunctionType

import click
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import parse_mutant_key

from gateway.federation import planner
from gateway.federation.operation.prepare import InvalidRequest
from gateway.federation.operation.selection import Operation
from gateway.federation.planner import PlanningError, plan
from gateway.federation.supergraph import Supergraph
from tests.federation.planner import test_unplannable
from tests.federation.planner.corpus import (
    corpora,
    labels_of,
    operation_of,
    questions,
    supergraph,
    written_plan,
)

HARMLESS = Path(__file__).with_name("mutants.toml")
_PROCESSES = 2
_SECONDS = 3
"""The CPU time an operation may take; each takes some milliseconds."""
_MEMORY = 4 << 30


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed function: its text before and after is its name."""

    name: str
    function: FunctionType
    changed: FunctionType

    def apply(self) -> None:
        """Change the function for as long as the process lives."""
        self.function.__code__ = self.changed.__code__
        self.function.__defaults__ = self.changed.__defaults__
        self.function.__kwdefaults__ = self.changed.__kwdefaults__


@dataclass(frozen=True, slots=True)
class Case:
    """An operation of a corpus and its plan."""

    graph: Supergraph
    operation: Operation
    labels: Mapping[str, bool]
    expected: str

    def told(self) -> bool:
        """Whether the operation has another plan now."""
        return _answer(self.graph, self.operation, self.labels) != self.expected


def mutants(pattern: str) -> Iterator[Mutant]:
    """The changes of the modules of the planner whose names match."""
    for file in sorted(Path(str(planner.__file__)).parent.glob(f"{pattern}.py")):
        name = planner.__name__ if file.stem == "__init__" else f"{planner.__name__}.{file.stem}"
        made = mutate_file_contents(str(file), file.read_text())
        lines = made.code.splitlines()
        changed: dict[str, object] = {"__name__": name}
        exec(compile(made.code, str(file), "exec"), changed)  # noqa: S102
        spans = made.line_span_by_function_name
        for key in made.mutant_names:
            base = key.rpartition("__mutmut_")[0]
            function, owner = parse_mutant_key(base)
            before, after = (
                [line.strip().replace(one, function) for line in lines[span.start - 1 : span.end]]
                for one in (f"{base}__mutmut_orig", key)
                for span in [spans[one]]
            )
            where = ".".join(part for part in (file.stem, owner, function) if part)
            yield Mutant(
                f"{where}: {_difference(before, after)}",
                _function(vars(importlib.import_module(name)), owner, function),
                _function(changed, owner, key),
            )


def _function(module: Mapping[str, object], owner: str | None, name: str) -> FunctionType:
    found = vars(module[owner])[name] if owner else module[name]
    found = getattr(found, "__func__", found)
    assert isinstance(found, FunctionType)
    return found


def _difference(before: Sequence[str], after: Sequence[str]) -> str:
    lines = list(unified_diff(before, after, n=0))[2:]
    gone, new = (" ".join(s[1:] for s in lines if s.startswith(sign)) for sign in "-+")
    return f"{gone} => {new}"


def cases() -> Iterator[Case]:
    """The operations of all corpora, with their plans as they are now."""
    for name in corpora():
        graph = supergraph(name)
        for question in questions(name):
            try:
                operation, labels = operation_of(graph, question), labels_of(question)
            except InvalidRequest:
                continue
            yield Case(graph, operation, labels, _answer(graph, operation, labels))


def _answer(graph: Supergraph, operation: Operation, labels: Mapping[str, bool]) -> str:
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    try:
        return written_plan(plan(graph, operation, labels=labels))
    except PlanningError as error:
        return f"{error.code}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _forget() -> None:
    for case in CASES:
        case.graph.derived.clear()


def _told_alone() -> bool:
    for case in CASES:
        case.graph.derived.clear()
        if case.told():
            return True
    return False


def _told_in_a_row(row: Sequence[Case]) -> bool:
    """What was planned before must not matter."""
    _forget()
    return any(case.told() for case in row)


def _refusals() -> None:
    for name, test in vars(test_unplannable).items():
        if name.startswith("test_"):
            signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
            test()


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError


CASES: list[Case] = []
MUTANTS: list[Mutant] = []


def _survives(number: int) -> bool:
    """Whether nothing notices a mutant; for a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    MUTANTS[number].apply()
    try:
        told = _told_alone() or _told_in_a_row(CASES) or _told_in_a_row(CASES[::-1])
        if not told:
            _refusals()
    except BaseException:  # noqa: BLE001 - as pytest's failures are
        return False
    return not told


@click.command()
@click.argument("modules", default="*")
def main(modules: str) -> None:
    """Try the mutants of MODULES of the planner (a pattern such as search or [a-k]*)."""
    signal.signal(signal.SIGVTALRM, _too_long)
    CASES.extend(cases())
    MUTANTS.extend(mutants(modules))
    _forget()
    gc.freeze()
    harmless = Counter(
        name
        for reason in tomllib.loads(HARMLESS.read_text())["harmless"]
        for name in reason["mutants"]
        if fnmatchcase(name.partition(".")[0], modules)
    )
    unexplained = 0
    with multiprocessing.get_context("fork").Pool(_PROCESSES, maxtasksperchild=1) as pool:
        for mutant, survives in zip(
            MUTANTS, pool.imap(_survives, range(len(MUTANTS))), strict=True
        ):
            if survives and harmless[mutant.name]:
                harmless[mutant.name] -= 1
            elif survives:
                unexplained += 1
                click.echo(f"unexplained: {mutant.name}")
    for name in harmless.elements():
        click.echo(f"explained in vain: {name}")
    click.echo(f"{len(MUTANTS)} mutants, {unexplained} unexplained, {harmless.total()} in vain")
    sys.exit(bool(unexplained or harmless.total()))


if __name__ == "__main__":
    main()
