"""From a document's text to one operation a planner can read.

Three steps, each a value a gateway may cache: `parse_and_validate` (per text; or
`check`, for a text that has been parsed), `prepare` (per text and operation name),
`PreparedOperation.fold` (per values of the boolean variables in `@skip` and
`@include`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    Location,
    NameNode,
    Node,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    StringValueNode,
    Token,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
    parse,
    specified_rules,
    validate,
)
from graphql.language import SelectionSetNode
from graphql.validation import ASTValidationRule

from gateway.federation.operation.coercion import Coercion
from gateway.federation.operation.merging import TooManySteps, conflicts
from gateway.federation.operation.selection import (
    Deferred,
    Field,
    Fragment,
    Operation,
    Selection,
)
from gateway.federation.plan import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graphql import (
        DirectiveNode,
        DocumentNode,
        SelectionNode,
        ValueNode,
    )

    from gateway.federation.plan import Path

__all__ = [
    "InvalidRequest",
    "PreparedOperation",
    "check",
    "forget_tokens",
    "parse_and_validate",
    "prepare",
    "unreadable",
]

_OWN_DIRECTIVES = frozenset({"skip", "include", "defer", "stream"})
_NodeT = TypeVar("_NodeT", bound=Node)

MAX_TOKENS = 15_000
MAX_SELECTIONS = 20_000
"""How many selections an operation may come to once its fragments are inlined."""
MAX_DEPTH = 100
"""How deep fields and fragments may nest; keeps every later recursion within Python's limit."""
MAX_ERRORS = 20
MAX_MESSAGE = 500
"""How many characters of an error's message are told: it may repeat what the client sent."""


class InvalidRequest(Exception):
    """The request is answered with ``errors`` alone; ``code`` says at which step it failed."""

    def __init__(self, code: str, errors: Sequence[GraphQLError]) -> None:
        super().__init__("\n".join(error.message for error in errors))
        self.code = code
        self.errors = tuple(errors)


class _ReservedAliasRule(ASTValidationRule):
    """Refuses aliases that begin with two underscores.

    Such names belong to introspection; the engine's own ``__typename`` selections
    rely on nobody else writing there.
    """

    def enter_field(self, node: FieldNode, *_args: object) -> None:
        alias = node.alias and node.alias.value
        if alias and alias.startswith("__") and alias != node.name.value:
            message = f'Alias "{alias}" must not begin with "__", which is reserved.'
            self.report_error(GraphQLError(message, node))


# `conflicts` does the work of the one rule whose time grows with the square of the text.
_RULES = (
    *(rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule),
    _ReservedAliasRule,
)


def parse_and_validate(
    schema: GraphQLSchema,
    source: str,
    *,
    max_tokens: int = MAX_TOKENS,
    hide_suggestions: bool = False,
) -> DocumentNode:
    """Return the document, valid against the API schema; raise `InvalidRequest`."""
    try:
        document = parse(source, max_lexical_tokens=max_tokens, max_comments=max_tokens)
    except GraphQLError as error:
        raise unreadable(error) from None
    check(schema, document, hide_suggestions=hide_suggestions)
    return document


def unreadable(error: GraphQLError) -> InvalidRequest:
    """Return the refusal of a text that cannot be parsed."""
    return InvalidRequest("GRAPHQL_PARSE_FAILED", [_shortened(error)])


def check(schema: GraphQLSchema, document: DocumentNode, *, hide_suggestions: bool = False) -> None:
    """Return if the document is valid against the API schema; raise `InvalidRequest`."""
    errors = validate(
        schema, document, _RULES, max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions
    )
    if any(error.message == "Validation aborted." for error in errors):
        raise _too_costly()
    if not errors:
        try:
            errors = conflicts(schema, document, most=MAX_ERRORS)
        except TooManySteps:
            raise _too_costly() from None
    if errors:
        raise InvalidRequest("GRAPHQL_VALIDATION_FAILED", [_shortened(one) for one in errors])


def _too_costly() -> InvalidRequest:
    error = GraphQLError("The document takes too long to validate.")
    return InvalidRequest("VALIDATION_TOO_COSTLY", [error])


def _shortened(error: GraphQLError) -> GraphQLError:
    """Return the error without most of what the client sent."""
    message = error.message
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}…"
    positions = list(error.positions or ())[:MAX_ERRORS]
    return GraphQLError(message, source=error.source, positions=positions)


def forget_tokens(document: DocumentNode) -> None:
    """Free two thirds of a document's memory: the text's tokens, which its locations hold.

    Variable definitions still know where they are, for errors in values.  Only
    for who has parsed the document.
    """
    token = document.loc.start_token if document.loc is not None else None
    while token is not None:
        # In a ring, they would wait for a full collection.
        following = token.next
        token.prev = token.next = None
        token = following
    pending: list[Node] = [document]
    while pending:
        node = pending.pop()
        kept = None
        if isinstance(node, VariableDefinitionNode) and node.loc is not None:
            first = node.loc.start_token
            alone = Token(first.kind, first.start, first.end, first.line, first.column)
            kept = Location(alone, alone, node.loc.source)
        object.__setattr__(node, "loc", kept)
        for name in node.keys:
            value = getattr(node, name)
            if isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, tuple):
                pending.extend(one for one in value if isinstance(one, Node))


def prepare(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None = None,
    *,
    hide_suggestions: bool = False,
) -> PreparedOperation:
    """Return the named (or only) operation of a valid document; raise `InvalidRequest`."""
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations.append(definition)
        else:
            assert isinstance(definition, FragmentDefinitionNode)
            fragments[definition.name.value] = definition
    node = _pick(operations, operation_name)
    conditions, defers = _conditional(node, fragments)
    return PreparedOperation(schema, node, fragments, conditions, defers, hide_suggestions)


def _pick(
    operations: Sequence[OperationDefinitionNode], name: str | None
) -> OperationDefinitionNode:
    # An empty name counts as none: several clients send it for anonymous operations.
    if name:
        chosen = [one for one in operations if one.name and one.name.value == name]
        message = f'Unknown operation named "{name}".'
    else:
        chosen = list(operations)
        message = "Must provide operation name if query contains multiple operations."
    if not chosen:
        message = message if name else "Must provide an operation."
    if len(chosen) != 1:
        raise InvalidRequest("OPERATION_RESOLUTION_FAILURE", [GraphQLError(message)])
    return chosen[0]


def _conditional(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> tuple[tuple[str, ...], bool]:
    """Return the variables that `@skip`, `@include` and `@defer` test, sorted, from anywhere.

    And whether there is any `@defer`.
    """
    names: set[str] = set()
    defers = False
    seen: set[str] = set()
    queue: list[SelectionSetNode] = [operation.selection_set]
    while queue:
        for node in queue.pop().selections:
            deferrals = list(_deferrals(node.directives))
            defers = defers or bool(deferrals)
            tested = [value for _, value in _conditions(node.directives)]
            tested += [one["if"] for one in deferrals if "if" in one]
            names.update(one.name.value for one in tested if isinstance(one, VariableNode))
            if isinstance(node, FragmentSpreadNode):
                if node.name.value not in seen:
                    seen.add(node.name.value)
                    queue.append(fragments[node.name.value].selection_set)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                queue.append(node.selection_set)
    return tuple(sorted(names)), defers


def _conditions(
    directives: Sequence[DirectiveNode] | None,
) -> Iterator[tuple[bool, Node]]:
    """Yield, for each `@skip` and `@include`, the value that keeps the selection and its node."""
    for directive in directives or ():
        if directive.name.value in ("skip", "include"):
            (condition,) = directive.arguments or ()
            yield directive.name.value == "include", condition.value


def _deferrals(directives: Sequence[DirectiveNode] | None) -> Iterator[dict[str, Node]]:
    """Yield the arguments of `@defer`, if it is there."""
    for directive in directives or ():
        if directive.name.value == "defer":
            yield {one.name.value: one.value for one in directive.arguments or ()}


@dataclass(frozen=True)
class PreparedOperation:
    """One operation of a valid document, still with its fragments and conditions."""

    schema: GraphQLSchema
    node: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    conditions: tuple[str, ...]
    """The variables whose values decide what is selected."""
    defers: bool
    """Whether there is a `@defer`, so that `split` may split something."""
    hide_suggestions: bool = False
    """Whether what is wrong with a variable's value gives no name of the schema away."""

    @property
    def kind(self) -> str:
        """Return ``query``, ``mutation`` or ``subscription``."""
        return self.node.operation.value

    @property
    def name(self) -> str | None:
        """Return the operation's name, if it has one."""
        return self.node.name.value if self.node.name else None

    @cached_property
    def variables(self) -> Mapping[str, VariableDefinitionNode]:
        """Return the variable definitions by name, in order, without source locations."""
        return {
            node.variable.name.value: _without_location(node)
            for node in self.node.variable_definitions or ()
        }

    def coerce(self, variables: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the variables' values by the API schema's input types, defaults applied.

        Raises `InvalidRequest`, never sends a value of an inaccessible enum or input field.
        """
        values = self._coercion.coerce(variables or {})
        if isinstance(values, list):
            raise InvalidRequest("BAD_USER_INPUT", [_shortened(one) for one in values])
        for name in self.conditions:
            # A nullable variable with a default is valid here, and can still be sent as null.
            if values.get(name) is None:
                message = f'Variable "${name}" decides a condition and must not be null.'
                raise InvalidRequest("BAD_USER_INPUT", [GraphQLError(message)])
        return values

    @cached_property
    def _coercion(self) -> Coercion:
        return Coercion(
            self.schema,
            self.node.variable_definitions or (),
            hide_suggestions=self.hide_suggestions,
        )

    def condition_key(self, coerced: Mapping[str, Any]) -> tuple[bool, ...]:
        """Return what distinguishes the folded operations of different variable values."""
        return tuple(coerced[name] for name in self.conditions)

    def fold(self, coerced: Mapping[str, Any]) -> Operation:
        """Return the operation with its conditions decided and its fragments inlined.

        Selections keep the order of the specification's `CollectFields`, and one
        scope never holds the same response key twice.  A fragment that cannot fail
        to apply is spliced in; every other keeps its type condition, also around
        `__typename`.  A composite field may be left with no selections at all: the
        planner has to ask for its `__typename`, since the object or its null is
        still answered.  `__schema`, `__type` and the root's `__typename` stay in
        the selections although no subgraph is asked for them.  `@defer` is ignored.
        Raises `InvalidRequest` if the result would be too large or too deep.
        """
        return self._fold(_Folder(self.schema, self.fragments, coerced))

    def split(self, coerced: Mapping[str, Any]) -> tuple[Operation, tuple[Deferred, ...]]:
        """Return what is to be answered at once, and each deferred fragment.

        Without an active `@defer` that is what `fold` returns, and nothing.
        """
        folder = _Folder(self.schema, self.fragments, coerced, postponed=[])
        operation = self._fold(folder)
        return operation, tuple(folder.deferred())

    def _fold(self, folder: _Folder) -> Operation:
        root = self.schema.get_root_type(self.node.operation)
        assert root is not None
        selections = folder.fold([self.node.selection_set], root, ())
        directives = tuple(_custom(self.node.directives))
        return Operation(
            self.node.operation, self.name, root.name, self.variables, selections, directives
        )


@dataclass(slots=True)
class _Scope:
    """Collects what is selected on one type: fields by response key, and narrower fragments."""

    path: Path
    entries: list[_OpenField | _OpenFragment] = field(default_factory=list)
    fields: dict[str, _OpenField] = field(default_factory=dict)
    spreads: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _OpenField:
    node: FieldNode
    sets: list[SelectionSetNode]
    directives: dict[tuple[str, ValueNode], None] = field(default_factory=dict)


@dataclass(slots=True)
class _OpenFragment:
    on: GraphQLNamedType
    sets: list[SelectionSetNode]


@dataclass(slots=True)
class _Postponed:
    label: str | None
    path: Path
    on: GraphQLNamedType
    selection_set: SelectionSetNode
    parent: int


@dataclass(slots=True)
class _Folder:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    values: Mapping[str, Any]
    budget: int = MAX_SELECTIONS
    postponed: list[_Postponed] | None = None
    """Takes the deferred fragments, if they are to be held back."""
    held: set[tuple[object, ...]] = field(default_factory=set)
    inside: int = -1
    """The index of the deferred fragment that is being folded."""

    def fold(
        self, sets: Sequence[SelectionSetNode], parent: GraphQLNamedType, path: Path
    ) -> tuple[Selection, ...]:
        """Return the merged selections of several selection sets on one type at a position."""
        if len(path) >= MAX_DEPTH:
            raise _too_large(f"Operation is nested deeper than {MAX_DEPTH} levels.")
        scope = _Scope(path)
        for selection_set in sets:
            self._collect(selection_set, parent, scope)
        return tuple(self._close(entry, parent, path) for entry in scope.entries)

    def deferred(self) -> Iterator[Deferred]:
        """Yield what was held back; a deferred fragment inside another comes after it."""
        assert self.postponed is not None
        for index, one in enumerate(self.postponed):
            self.inside = index
            selections = self.fold([one.selection_set], one.on, one.path)
            yield Deferred(one.label, one.path, one.on.name, selections, one.parent)

    def _close(
        self, entry: _OpenField | _OpenFragment, parent: GraphQLNamedType, path: Path
    ) -> Selection:
        if isinstance(entry, _OpenFragment):
            gate = Gate(frozenset({entry.on.name}))
            return Fragment(entry.on.name, self.fold(entry.sets, entry.on, (*path, gate)))
        node = entry.node
        name = node.name.value
        key = node.alias.value if node.alias else name
        selections: tuple[Selection, ...] = ()
        if entry.sets:
            assert is_composite_type(parent)
            definition = self.schema.get_field(parent, name)
            assert definition is not None
            inner = get_named_type(definition.type)
            selections = self.fold(entry.sets, inner, (*path, key))
        return Field(key, name, (*_arguments(node), *entry.directives), selections)

    def _collect(
        self, selection_set: SelectionSetNode, parent: GraphQLNamedType, scope: _Scope
    ) -> None:
        """Add one selection set to a scope; splice fragments that always apply."""
        stack = [iter(selection_set.selections)]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                continue
            self._spend()
            if not self._applies(node):
                continue
            if isinstance(node, FieldNode):
                self._add_field(node, scope)
                continue
            inner, condition = self._fragment(node, scope)
            if inner is None:
                continue
            on = self.schema.type_map[condition] if condition else parent
            if self._postpone(node, inner, on, parent, scope):
                if isinstance(node, FragmentSpreadNode):
                    # Spread again without `@defer`, it is wanted at once.
                    scope.spreads.discard(node.name.value)
                continue
            if self._always(on, parent):
                stack.append(iter(inner.selections))
            elif not is_object_type(parent):
                self._add_fragment(on, inner, scope)

    def _postpone(
        self,
        node: SelectionNode,
        inner: SelectionSetNode,
        on: GraphQLNamedType,
        parent: GraphQLNamedType,
        scope: _Scope,
    ) -> bool:
        """Hold a fragment back if its `@defer` is active; return whether it is."""
        if self.postponed is None:
            return False
        for arguments in _deferrals(node.directives):
            if self._value(arguments.get("if")) is False:
                continue
            label = arguments.get("label")
            known = label.value if isinstance(label, StringValueNode) else None
            if self._always(on, parent):
                self._hold(_Postponed(known, scope.path, parent, inner, self.inside))
            elif not is_object_type(parent):
                gated = (*scope.path, Gate(frozenset({on.name})))
                self._hold(_Postponed(known, gated, on, inner, self.inside))
            return True
        return False

    def _hold(self, one: _Postponed) -> None:
        assert self.postponed is not None
        same = (one.label, one.path, one.on.name, id(one.selection_set), one.parent)
        if same not in self.held:
            self.held.add(same)
            self.postponed.append(one)

    def _value(self, value: Node | None) -> Any:
        """Return the value of a Boolean argument; None if it is not given."""
        if isinstance(value, VariableNode):
            return self.values[value.name.value]
        return value.value if isinstance(value, BooleanValueNode) else None

    def _spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise _too_large(f"Operation selects more than {MAX_SELECTIONS} fields.")

    def _applies(self, node: SelectionNode) -> bool:
        return all(self._value(value) is keep for keep, value in _conditions(node.directives))

    def _fragment(
        self, node: SelectionNode, scope: _Scope
    ) -> tuple[SelectionSetNode | None, str | None]:
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in scope.spreads:
                return None, None
            scope.spreads.add(name)
            fragment = self.fragments[name]
            return fragment.selection_set, fragment.type_condition.name.value
        assert isinstance(node, InlineFragmentNode)
        condition = node.type_condition
        return node.selection_set, condition.name.value if condition else None

    def _always(self, on: GraphQLNamedType, parent: GraphQLNamedType) -> bool:
        """Return whether the type condition says nothing new.

        Under an abstract parent only its own name does: which objects it may hold
        depends on the subgraph, so the planner has to see every other condition.
        """
        if on is parent:
            return True
        return (
            is_object_type(parent) and is_abstract_type(on) and self.schema.is_sub_type(on, parent)
        )

    @staticmethod
    def _add_field(node: FieldNode, scope: _Scope) -> None:
        key = node.alias.value if node.alias else node.name.value
        known = scope.fields.get(key)
        if known is None:
            known = scope.fields[key] = _OpenField(node, [])
            scope.entries.append(known)
        if node.selection_set:
            known.sets.append(node.selection_set)
        if node.directives and not node.name.value.startswith("__"):
            known.directives.update(dict.fromkeys(_custom(node.directives)))

    @staticmethod
    def _add_fragment(on: GraphQLNamedType, inner: SelectionSetNode, scope: _Scope) -> None:
        last = scope.entries[-1] if scope.entries else None
        if isinstance(last, _OpenFragment) and last.on is on:
            last.sets.append(inner)
        else:
            scope.entries.append(_OpenFragment(on, [inner]))


def _custom(directives: Sequence[DirectiveNode] | None) -> Iterator[tuple[str, ValueNode]]:
    """Yield the directives that are for subgraphs, as `Field.arguments` has them."""
    for one in directives or ():
        if one.name.value not in _OWN_DIRECTIVES:
            fields_ = (
                ObjectFieldNode(name=NameNode(value=name), value=value)
                for name, value in _arguments(one)
            )
            yield f"@{one.name.value}", ObjectValueNode(fields=tuple(fields_))


def _arguments(node: FieldNode | DirectiveNode) -> tuple[tuple[str, ValueNode], ...]:
    arguments = sorted(node.arguments or (), key=lambda argument: argument.name.value)
    return tuple((one.name.value, _without_location(one.value)) for one in arguments)


def _without_location(node: _NodeT) -> _NodeT:
    """Return the node as it would be anywhere else in the text: equal nodes compare equal."""
    changes = {one.name: _inner(getattr(node, one.name)) for one in fields(node)}
    return type(node)(**{**changes, "loc": None})


def _inner(value: Any) -> Any:
    if isinstance(value, Node):
        return _without_location(value)
    if isinstance(value, tuple):
        return tuple(_inner(one) for one in value)
    return value


def _too_large(message: str) -> InvalidRequest:
    return InvalidRequest("OPERATION_TOO_LARGE", [GraphQLError(message)])
