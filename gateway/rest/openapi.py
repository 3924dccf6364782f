"""The OpenAPI document of the REST endpoints, made from their `Operation`s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.rest.operations import Answer, Handler, Operation, Parameter
from shared.errors import NexusError
from shared.protocols.problem_details import MEDIA_TYPE

__all__ = ["document", "serve"]

_PROBLEM = {
    "type": "object",
    "description": "What went wrong, after RFC 9457.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "description": "Always `about:blank`: `code` tells them apart."},
        "title": {"type": "string", "description": "What the status means."},
        "status": {"type": "integer", "description": "The status of the response."},
        "detail": {"type": "string", "description": "What went wrong, for people."},
        "code": {"type": "string", "description": "What went wrong, for programs; stable."},
        "field": {"type": "string", "description": "The input that is at fault, if one is."},
        "traceId": {"type": "string", "description": "What to tell us when we are at fault."},
    },
}
_SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    "required": [{"accessToken": []}],
    "optional": [{"accessToken": []}, {}],
    "nobody": [],
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document, as JSON values; every path is described, aliases under names of their own."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        for number, path in enumerate(operation.paths):
            described = _operation(operation, suffix="" if number == 0 else f"Alias{number}")
            paths.setdefault(path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus",
            "version": "1",
            "description": "The REST endpoints beside `/graphql`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An `accessToken` of `logIn`, `signUp` or `refreshSession`.",
                }
            },
        },
    }


def serve(described: Mapping[str, Any]) -> Handler:
    """A handler that answers with the document."""
    response = JSONResponse(dict(described))

    async def handler(_: Request) -> Response:
        return Response(response.body, media_type="application/json")

    return handler


def _operation(operation: Operation, *, suffix: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name + suffix,
        "summary": operation.summary,
        "description": operation.description,
        "security": _SECURITY[operation.caller],
        "responses": {
            **{str(status): _answer(answer) for status, answer in operation.answers.items()},
            **_failures(operation.failures),
        },
    }
    if operation.tag:
        described["tags"] = [operation.tag]
    if operation.parameters:
        described["parameters"] = [_parameter(each) for each in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = {
            "description": operation.body.description,
            "required": operation.body.required,
            "content": _content(operation.body.content),
        }
    return described


def _failures(failures: Iterable[type[NexusError]]) -> dict[str, Any]:
    """The responses of these errors, several of one status told apart by their codes."""
    by_status: dict[int, list[type[NexusError]]] = {}
    expected: list[type[NexusError]] = [*failures, NexusError]
    for failure in expected:
        by_status.setdefault(failure.status, []).append(failure)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {
            "description": f"{HTTPStatus(status).phrase}: "
            + ", ".join(f"`{each.code}`" for each in found),
            "content": content,
        }
        for status, found in by_status.items()
    }


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.content:
        described["content"] = _content(answer.content)
    if answer.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    return described


def _content(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {media_type: {"schema": dict(schema)} for media_type, schema in content.items()}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.required,
        "schema": dict(parameter.schema),
    }
