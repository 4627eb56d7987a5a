"""A real HTTP server on loopback that speaks OpenAI's and Anthropic's protocols, for the tests.

It answers by a rule (events that hold a detection word are bad), so that every answer can be
checked, and writes down every event that it was asked about. What a server may lack can be switched
off.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DETECTION = re.compile(r"login|verify|mimikatz|evil")
_EVENT = re.compile(r"<<event (\w+)>>\n(.*)\n<<end \1>>")


class Model:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.log = open(options.log, "a", encoding="utf-8")  # noqa: SIM115, PTH123
        self.batches: dict[str, dict[str, Any]] = {}

    def judge(self, content: str) -> list[tuple[str, str]]:
        found = []
        for tag, quoted in _EVENT.findall(content):
            text = json.loads(quoted)
            self.log.write(json.dumps(text) + "\n")
            positive = bool(re.search(self.options.positive, text))
            found.append((tag, self.options.classes.split(",")[positive]))
        self.log.flush()
        return found

    def write(self, content: str) -> str:
        """Write to order: URLs that depend on the whole order, so that two orders differ."""
        self.log.write(json.dumps(f"order {content[:400]}") + "\n")
        self.log.flush()
        key = f"{zlib.crc32(content.encode()):08x}"
        if self.options.imitates:
            return json.dumps({"texts": self.imitate(content)})
        words = ["verify", "login", "wallet", "secure", "update", "account"]
        texts = [
            f"https://{words[k]}-{key[:4]}{k}.real-bank.com/{words[-k]}/{key}?id={k}{key[::-1]}"
            for k in range(5)
        ]
        return json.dumps({"texts": texts})

    def imitate(self, content: str) -> list[str]:
        """Write as a better writer would: variants of the events that the order shows."""
        shown = [json.loads(quoted) for _, quoted in _EVENT.findall(content)]
        key = zlib.crc32(content.encode())
        return [
            re.sub(r"\d+", lambda _, k=k: str((key >> k) % 900 + 100), shown[k % len(shown)])
            for k in range(5 if shown else 0)
        ]

    def answer(self, content: str) -> str:
        if '{"texts":' in content:
            return self.write(content)
        judged = self.judge(content)
        if len(judged) == 1:
            return json.dumps({"label": judged[0][1]})
        answers = [{"event": tag, "label": label} for tag, label in judged]
        return json.dumps({"answers": answers})

    def chat(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        lacks = self.options.lacks.split(",")
        for name in ("logprobs", "response_format", "temperature"):
            if name in lacks and name in body:
                return 400, {"error": {"message": f"Unsupported parameter: '{name}'"}}
        if "max_tokens" in lacks and "max_tokens" in body:
            return 400, {"error": {"message": "use 'max_completion_tokens' instead of max_tokens"}}
        if "n" in lacks and body.get("n", 1) > 1:
            return 400, {"error": {"message": "only n = 1 is supported"}}
        if body["model"] == "unknown":
            return 404, {"error": {"message": "no such model"}}
        content = self.answer(body["messages"][-1]["content"])
        choices = []
        for index in range(body.get("n", 1)):
            choice = {
                "index": index,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content},
            }
            if body.get("logprobs"):
                choice["logprobs"] = {"content": [*tokens(content, self.options.classes)]}
            choices.append(choice)
        length = sum(len(m["content"]) for m in body["messages"])
        usage = {"prompt_tokens": length // 4, "completion_tokens": len(content) // 3}
        return 200, {"id": "c", "object": "chat.completion", "choices": choices, "usage": usage}

    def message(self, body: dict[str, Any]) -> dict[str, Any]:
        content = json.loads(self.answer(body["messages"][-1]["content"]))
        return {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "content": [
                {"type": "tool_use", "id": "t", "name": body["tools"][0]["name"], "input": content}
            ],
            "usage": {"input_tokens": 100, "output_tokens": 20},
        }

    def batch(self, path: str, body: dict[str, Any] | None, host: str) -> tuple[int, Any]:
        if body is not None:
            number = f"batch_{len(self.batches) + 1}"
            answers = {r["custom_id"]: self.message(r["params"]) for r in body["requests"]}
            self.batches[number] = {"answers": answers, "since": time.time()}
            self.log.write(f"#{number}\n")
            self.log.flush()
            return 200, self.state(number, host)
        parts = path.split("?")[0].split("/")
        if parts[-1] == "batches":
            data = [self.state(number, host) for number in reversed(self.batches)]
            return 200, {"data": data, "has_more": False, "first_id": None, "last_id": None}
        if parts[-1] == "results":
            lines = []
            for number, (name, answer) in enumerate(self.batches[parts[-2]]["answers"].items()):
                result: dict[str, Any] = {
                    "type": "errored",
                    "error": {"type": "error", "error": {"type": "api_error", "message": "x"}},
                }
                if number % 10 != 9 or not self.options.batch_errors:
                    result = {"type": "succeeded", "message": answer}
                lines.append(json.dumps({"custom_id": name, "result": result}))
            return 200, "\n".join(reversed(lines))  # in another order, as the real one may
        return 200, self.state(parts[-1], host)

    def state(self, number: str, host: str) -> dict[str, Any]:
        batch = self.batches[number]
        ended = time.time() - batch["since"] > self.options.batch_seconds
        count = len(batch["answers"])
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch["since"]))
        return {
            "id": number,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0 if ended else count,
                "succeeded": count if ended else 0,
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            },
            "created_at": stamp,
            "expires_at": stamp,
            "ended_at": stamp if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"http://{host}/v1/messages/batches/{number}/results" if ended else None,
        }


def tokens(content: str, classes: str) -> Iterator[dict[str, Any]]:
    """Cut into tokens of three letters; the first of a label has the other class beside it."""
    names = classes.split(",")
    starts = {m.end() for m in re.finditer(r'"label": "', content)}
    position = 0
    while position < len(content):
        end = min([s for s in starts if s > position] + [position + 3])
        end = min(end, position + 3, len(content))
        text = content[position:end]
        alternatives = [{"token": text, "logprob": -0.1054}]  # 0.9
        if position in starts:
            other = next(name for name in names if not content.startswith(name, position))
            alternatives.append({"token": other[:3], "logprob": -2.3026})  # 0.1
        yield {"token": text, "logprob": -0.1054, "top_logprobs": alternatives}
        position = end


class Connection(asyncio.Protocol):
    def __init__(self, model: Model) -> None:
        self.model, self.buffer = model, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            length = re.search(r"(?i)content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if len(self.buffer) < end + 4 + size:
                return
            body = self.buffer[end + 4 : end + 4 + size]
            self.buffer = self.buffer[end + 4 + size :]
            status, answer = self.respond(head, body)
            raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            kind = b"application/x-jsonl" if isinstance(answer, str) else b"application/json"
            response = b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
                status,
                kind,
                len(raw),
            )
            delay = self.model.options.delay
            asyncio.get_running_loop().call_later(delay, self.transport.write, response + raw)

    def respond(self, head: str, body: bytes) -> tuple[int, Any]:
        path = head.split(" ", 2)[1]
        host = re.search(r"(?i)\nhost: ([^\r\n]+)", head)
        key = self.model.options.key
        if key and key not in head:
            return 401, {"error": {"message": "wrong key"}}
        parsed = json.loads(body) if body else None
        if "/messages/batches" in path:
            return self.model.batch(path, parsed, host[1] if host else "")
        if path.split("?")[0].endswith("/messages"):
            return 200, self.model.message(parsed)
        return self.model.chat(parsed)


async def serve(options: argparse.Namespace) -> None:
    model = Model(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(model), "127.0.0.1", options.port)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


class Server:
    """A running server, as the tests see it."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        assert process.stdout is not None
        self.process, self.log = process, log
        self.port = int(process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def asked(self) -> Counter[str]:
        """How often it was asked about each event."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return Counter(json.loads(line) for line in lines if not line.startswith("#"))


@contextmanager
def chat_server(folder: Path, **options: object) -> Iterator[Server]:
    log = folder / "asked.log"
    log.touch()
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, __file__, f"--log={log}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process, log)
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--classes", default="benign,phishing")
    parser.add_argument("--positive", default=DETECTION.pattern)
    parser.add_argument("--lacks", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--batch-seconds", type=float, default=0.0)
    parser.add_argument("--batch-errors", type=int, default=0)
    parser.add_argument("--imitates", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
