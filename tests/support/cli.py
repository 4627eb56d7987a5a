"""The command line, as a person calls it: in processes of its own, forked from one with imports."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "COLUMNS": "200",
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
}
_ONE_AT_A_TIME = Lock()


class Command:
    """A command at work.

    Attributes
    ----------
    pid, returncode
        Its process, and the exit code; None while it works.
    """

    def __init__(
        self,
        *arguments: object,
        stdin: IO[bytes],
        stdout: IO[bytes],
        stderr: IO[bytes],
        cwd: Path | None = None,
        env: Mapping[str, str] = ENVIRONMENT,
    ) -> None:
        request = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(env),
        }
        streams = [file.fileno() for file in (stdin, stdout, stderr)]
        self.pid = _ask(request, streams)
        self.returncode: int | None = None
        self._handle = os.pidfd_open(self.pid)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until the command has ended; return its exit code."""
        if self.returncode is None:
            ended, _, _ = select.select([self._handle], [], [], timeout_s)
            assert ended, "the command does not end"
            self.returncode = _ask({"ended": self.pid})
            os.close(self._handle)
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code; None while the command works."""
        if self.returncode is None and select.select([self._handle], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_command(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: bytes
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line to its end."""
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        variables = {**ENVIRONMENT, **(env or {})}
        command = Command(*arguments, stdin=given, stdout=out, stderr=err, cwd=cwd, env=variables)
        code = command.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def buckler(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, on text."""
    done = run_command(*arguments, cwd=cwd, env=env, stdin=stdin.encode())
    texts = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that the command ended with one clear line that holds these words, and with code 2."""
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def _ask(request: dict[str, object], streams: list[int] | None = None) -> int:
    """Return the answer of the server of commands."""
    with _ONE_AT_A_TIME:
        server = _command_server(os.getpid())
        socket.send_fds(server, [json.dumps(request).encode()], streams or [])
        answer = server.recv(16)
    assert answer, "the server of commands has ended"
    return int(answer)


@cache
def _command_server(process: int) -> socket.socket:
    """Start what runs the commands of this process; it ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("command_server.py"), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # an interruption of the tests is not its own
        )
    atexit.register(_stop, ours, server)
    return ours


def _stop(requests: socket.socket, server: subprocess.Popen) -> None:
    requests.close()
    server.wait()
