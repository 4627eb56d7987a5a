"""The command line, as a person calls it."""

import atexit
import json
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "COLUMNS": "200",
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
}
_ONE_AT_A_TIME = Lock()


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


def run_command(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: bytes
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own, forked from one that has its imports."""
    request = {
        "arguments": [str(argument) for argument in arguments],
        "cwd": str(cwd or Path.cwd()),
        "env": {**ENVIRONMENT, **(env or {})},
    }
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        streams = [file.fileno() for file in (given, out, err)]
        with _ONE_AT_A_TIME:
            server = _command_server(os.getpid())
            socket.send_fds(server, [json.dumps(request).encode()], streams)
            code = server.recv(16)
        assert code, "the server of commands has ended"
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(request["arguments"], int(code), out.read(), err.read())


def buckler(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line as `run_command` does, on text."""
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
