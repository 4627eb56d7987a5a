"""Runs commands of `buckler`, each in a fork of a process that has imported what they import.

Python takes longer to start and to import than most commands take to work. A request is one message
over the socket whose number is the argument. It starts a command (arguments, folder and variables
as JSON, with the descriptors of the three standard streams) and is answered by its process; or it
names a process that has ended, and is answered by its exit code.
"""

import atexit
import gc
import json
import os
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module

IMPORTS = (
    "buckler.cli.main",
    "buckler.evaluation.plots",
    "buckler.evaluation.report",
    "buckler.labels",
    "buckler.monitoring.monitor",
    "buckler.pipeline.run",
    "buckler.readers.jsonl",
    "buckler.readers.parquet",
    "buckler.review.enqueue",
    "buckler.review.web.app",
    "buckler.serving.http.server",
    "buckler.serving.scan",
    "buckler.serving.stream.kafka",
    "buckler.serving.stream.pipe",
    "buckler.students.ngram",
    "buckler.synthesis.generate",
    "buckler.teachers.labeling",
    "buckler.teachers.llm.chat",
    "buckler.training.promotion",
)
MAX_REQUEST_BYTES = 1 << 17


def main() -> None:
    del sys.path[0]  # the folder of this file
    for name in IMPORTS:
        with suppress(ImportError):  # an extra that is not installed
            import_module(name)
    gc.freeze()  # the forks share what is here already
    requests = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, streams, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 3)
        if not message:
            return
        request = json.loads(message)
        if "ended" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
        elif (answer := os.fork()) == 0:
            requests.close()
            run(request, streams)
        for stream in streams:
            os.close(stream)
        requests.send(str(answer).encode())


def run(request: dict, streams: list[int]) -> None:
    """Run a command as ``python -m buckler.cli.main`` does, and end the process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path.insert(0, request["cwd"])
    code = import_module("buckler.cli.main").run_command_line(request["arguments"])
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)  # taking the modules apart would take longer than most commands


if __name__ == "__main__":
    main()
