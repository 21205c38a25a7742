"""One service shared by all workers of a test run, gone when the last of them is gone, even if it was killed.

    with shared("rabbitmq", "tests.services.rabbitmq:RabbitMq") as facts: ...

Who uses the service holds a shared lock on a file; a warden process of the service's own waits for the exclusive lock, which it gets only
when no user is left (the system frees the locks of dead processes), then stops the service and removes its folder. A service is a class
made from a folder, with `start()`, `facts()` (what its users must know, as JSON) and `close()`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

ROOT = Path(__file__).resolve().parents[2]


class Service(Protocol):
    """What a warden keeps."""

    def start(self) -> None: ...

    def facts(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


ServiceT = TypeVar("ServiceT", bound=Service)


@contextmanager
def shared(name: str, service: str) -> Iterator[dict[str, Any]]:
    """The facts of the service `module:Class` of this test run, started by whoever needs it first."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"pid{os.getpid()}"
    folder = Path(tempfile.gettempdir()) / f"renkei-{name}-{run}"
    user = _lock(folder, "users", fcntl.LOCK_SH)
    try:
        starter = _lock(folder, "start", fcntl.LOCK_EX)
        try:
            if not (folder / "facts.json").exists():
                _start(folder, service)
        finally:
            os.close(starter)
        yield json.loads((folder / "facts.json").read_text("utf-8"))
    finally:
        os.close(user)


@contextmanager
def alone(name: str, make: Callable[[Path], ServiceT]) -> Iterator[ServiceT]:
    """A running service for the length of the block, of this test alone."""
    with tempfile.TemporaryDirectory(prefix=f"renkei-{name}-") as folder:
        Path(folder).chmod(0o711)  # the service's own user must come through
        service = make(Path(folder) / "service")
        try:
            service.start()
            yield service
        finally:
            service.close()


def _lock(folder: Path, name: str, kind: int) -> int:
    """The lock of that name, waited for; taken anew when a warden removed the folder meanwhile."""
    while True:
        folder.mkdir(mode=0o711, exist_ok=True)
        path = folder / f"{name}.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(handle, kind)
        try:
            if os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)


def _start(folder: Path, service: str) -> None:
    """Returns when the service is ready; its warden goes on alone."""
    command = [sys.executable, "-m", "tests.services.shared", str(folder), service]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=300, check=False)
    assert done.returncode == 0, f"{service} does not start: {(folder / 'warden.log').read_text('utf-8')}"


def guard(folder: Path, service: str) -> None:
    """The warden's life: start, tell, wait until nobody uses it, stop."""
    module, _, name = service.partition(":")
    kept: Service = getattr(import_module(module), name)(folder / "service")
    try:
        kept.start()
        told = folder / "facts.new"
        told.touch(mode=0o600)
        told.write_text(json.dumps(kept.facts()), "utf-8")
        told.rename(folder / "facts.json")
        os.kill(os.getppid(), signal.SIGUSR1)
        handle = os.open(folder / "users.lock", os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_EX)
    finally:
        kept.close()
    shutil.rmtree(folder)


def main() -> int:
    """Fork the warden and wait for its word: ends 0 when the service is ready, 1 when its warden ended before."""
    folder, service = Path(sys.argv[1]), sys.argv[2]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGCHLD})
    if os.fork():
        return 0 if signal.sigwait({signal.SIGUSR1, signal.SIGCHLD}) == signal.SIGUSR1 else 1
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1, signal.SIGCHLD})
    os.setsid()
    log = os.open(folder / "warden.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, handle in enumerate((null, log, log)):
        os.dup2(handle, number)
    try:
        guard(folder, service)
    except BaseException:  # noqa: BLE001 - whatever it was, it is written down, and the process ends
        traceback.print_exc()  # the folder stays: this is what the starter shows
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main())
