"""JSON log lines with `timestamp`, `level`, `service`, `trace_id` and `span_id`.

    logger = get_logger(__name__)
    logger.info("invoice.paid", invoice_id=invoice.id)

An event is a dotted name, never prose.  No e-mail address, IP address, token or
card number belongs in a log; `configure` also masks what looks like one.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson
import structlog
from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from shared.config import TelemetrySettings

__all__ = ["configure", "get_logger", "request_id", "service_name"]

service_name: ContextVar[str] = ContextVar("service_name", default="nexus")
"""The subgraph (or gateway) whose work is being done: two may share a process."""

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request whose work is being done."""

# What every text that has something sensitive in it has in it: it is found much faster.
_SUSPECT = re.compile(r"@|eyJ|\d[\d .-]{5,}\d")
_SENSITIVE = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # e-mail address
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]+"  # JWT
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"  # IPv4 address
    r"|\b(?:\d[ -]?){13,19}\b"  # card number
)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger for one module."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(name))


def configure(settings: TelemetrySettings, *, service: str) -> None:
    """Send this process's logs, ours and the libraries', to standard error in one format."""
    service_name.set(service)
    described: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_place,
        structlog.processors.format_exc_info,
        _mask,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if settings.log_format == "console"
        else structlog.processors.JSONRenderer(serializer=_dumps)
    )
    # Ours do not pass through the standard library: that costs more than all the rest of a line.
    structlog.configure(
        processors=[*described, renderer, cast("structlog.typing.Processor", _encode)],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings.log_level)),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", _Lenient(sys.stderr.buffer))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=described,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(_level(settings.log_level), logging.INFO))
    for chatty in ("uvicorn.access", "aiobotocore", "botocore", "httpx", "pgqueuer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # In an address a client may have put its token.
    logging.getLogger("uvicorn.error").addFilter(_names_no_address)


def _names_no_address(record: logging.LogRecord) -> bool:
    return '"WebSocket %s"' not in str(record.msg)


class _Lenient:
    """A file whose reader may be gone, or its disk full: a line must never fail its writer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, line: bytes) -> None:
        with suppress(OSError):
            self._file.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def _level(name: str) -> int:
    return logging.getLevelNamesMapping()[name.upper()]


def _dumps(value: Any, **_: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        # Half a surrogate pair, or a key that is no string: a line must never fail its writer.
        return json.dumps(value, default=str, skipkeys=True)


def _encode(_logger: Any, _method: str, line: str) -> bytes:
    return line.encode(errors="backslashreplace")


def _add_place(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    event["trace_id"] = format(context.trace_id, "032x")
    event["span_id"] = format(context.span_id, "016x")
    event.setdefault("service", service_name.get())
    request = request_id.get()
    if request is not None:
        event["request_id"] = request
    return event


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if not isinstance(value, str) or key in _OWN_FIELDS:
            continue
        # Letters and digits in one piece are none of these, unless they are all digits.
        is_word = value.isalnum() and not value.isdecimal()
        if not is_word and _SUSPECT.search(value):
            event[key] = _SENSITIVE.sub("[masked]", value)
    return event


_OWN_FIELDS = frozenset({"timestamp", "level", "service", "trace_id", "span_id"})
