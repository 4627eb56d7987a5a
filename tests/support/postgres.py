"""A real PostgreSQL server for the tests, started and stopped by them."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def _binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@contextmanager
def postgres(port: int) -> Iterator[str]:
    """Yield the URL of a server that listens on loopback only."""
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    as_user: list[str] = []
    # A folder of its own: pytest's may be closed to the server's user, or its name too long for a
    # socket.
    with TemporaryDirectory(prefix="buckler-", ignore_cleanup_errors=True) as folder:
        if os.getuid() == 0:  # the server refuses to run as root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("there is no user postgres to run the server as")
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = ["runuser", "-u", "postgres", "--"]
        data, log = f"{folder}/data", f"{folder}/log"

        def run(*command: str) -> None:
            done = subprocess.run(
                [*as_user, *command], capture_output=True, cwd=folder, check=False
            )
            if done.returncode:
                said = Path(log).read_bytes() if Path(log).exists() else b""
                words = (done.stdout + done.stderr + said).decode(errors="replace")
                pytest.fail(f"{Path(command[0]).name}: {words[-2000:]}")

        run(initdb, "-D", data, "-A", "trust", "-U", "buckler", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        run(pg_ctl, "-D", data, "-w", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql://buckler@127.0.0.1:{port}/postgres"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")
