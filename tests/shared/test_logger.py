"""What a log line says, and what it never says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SCRIPT = """
import logging, sys
from shared.config import TelemetrySettings
from shared.logger import configure, get_logger, request_id, service_name
from shared.telemetry import request_span

configure(TelemetrySettings(), service="gateway")
logger = get_logger("nexus")
library = logging.getLogger("somebody.elses")
traceparent = "00-11111111111111111111111111111111-2222222222222222-01"
with request_span("POST", {"traceparent": traceparent}):
    request_id.set("request-1")
    logger.info("invoice.paid", invoice_id="1", amount=5)
    library.warning("it says %s", "this")
    logger.debug("not.shown")
    library.info("mail to ada@example.test from 10.1.2.3 card 4242 4242 4242 4242")
    try:
        raise ValueError("of ada@example.test")
    except ValueError:
        logger.exception("it.failed", who="ada@example.test", odd="\\udcff")
"""


def lines() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stdout
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_our_lines_and_the_libraries_have_the_same_fields() -> None:
    ours, theirs, *_ = lines()
    for line in (ours, theirs):
        assert line["trace_id"] == "1" * 32
        assert line["span_id"] not in ("0" * 16, "2" * 16)
        assert line["service"] == "gateway"
        assert line["request_id"] == "request-1"
        assert line["timestamp"].endswith("Z")
    assert (ours["event"], ours["level"]) == ("invoice.paid", "info")
    assert (ours["invoice_id"], ours["amount"]) == ("1", 5)
    assert (theirs["event"], theirs["level"]) == ("it says this", "warning")


def test_what_looks_like_personal_data_is_masked_also_in_tracebacks() -> None:
    _, _, plain, failed = lines()
    assert plain["event"] == "mail to [masked] from [masked] card [masked]"
    assert failed["who"] == "[masked]"
    assert "ValueError: of [masked]" in failed["exception"]


def test_a_line_is_written_whatever_it_holds() -> None:
    assert "odd" in lines()[-1]


def test_a_line_that_nobody_reads_fails_nobody() -> None:
    script = (
        "import os, sys\n"
        "from shared.config import TelemetrySettings\n"
        "from shared.logger import configure, get_logger\n"
        "configure(TelemetrySettings(), service='gateway')\n"
        "reader, writer = os.pipe()\n"
        "os.dup2(writer, 2)\n"
        "os.close(writer)\n"
        "os.close(reader)\n"
        "get_logger('nexus').info('invoice.paid')\n"
        "print('still here')\n"
        "sys.stdout.flush()\n"
        "os._exit(0)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "still here\n"


def test_the_address_of_a_socket_is_not_told() -> None:
    script = (
        "import logging\n"
        "from shared.config import TelemetrySettings\n"
        "from shared.logger import configure\n"
        "configure(TelemetrySettings(), service='gateway')\n"
        "server = logging.getLogger('uvicorn.error')\n"
        "server.info('%s - \"WebSocket %s\" [accepted]', '', '/graphql?token=secret')\n"
        "server.info('it runs')\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert "it runs" in line
