"""Under whose name a server runs: PostgreSQL refuses root, and the host must not be changed."""

from __future__ import annotations

import ctypes
import enum
import os
from pathlib import Path

NOBODY = 65534
CLONE_NEWUSER = 0x10000000


class Account(enum.Enum):
    """How a child process gets the name it runs under."""

    OURS = "ours"
    MAPPED = "mapped"
    NOBODY = "nobody"

    def enter(self) -> None:
        """Makes the calling process run under this account; meant for a freshly forked child."""
        if self is Account.MAPPED:
            _enter_namespace()
        elif self is Account.NOBODY:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)


def unprivileged() -> Account:
    """The account for a server that refuses root.

    Root becomes an ordinary user inside a user namespace: files stay root's, and the server
    reaches them even below directories that only root may enter. Where the kernel forbids
    namespaces, the server runs as nobody instead.
    """
    if os.geteuid() != 0:
        return Account.OURS
    return Account.MAPPED if _namespaces_work() else Account.NOBODY


def _namespaces_work() -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _enter_namespace()
            code = 0 if os.geteuid() == NOBODY else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    me = Path("/proc/self")
    (me / "setgroups").write_text("deny")
    (me / "uid_map").write_text(f"{NOBODY} {uid} 1")
    (me / "gid_map").write_text(f"{NOBODY} {gid} 1")


def may_enter(directory: Path) -> bool:
    """Whether nobody can reach what lies in this directory."""
    return all(parent.stat().st_mode & 0o001 for parent in [directory, *directory.parents])
