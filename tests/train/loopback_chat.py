"""A chat endpoint on the loopback interface that answers by a rule, or misbehaves as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = str | dict[str, Any]


class ChatServer(ThreadingHTTPServer):
    """Answers with `rule(question)`.

    Attributes:
        rule: Question to the answer's text, or to the whole body.
        trouble: What goes wrong with the next requests, first to last: an HTTP status, a status
            with headers, ``hang`` (seconds), ``garbage`` or ``close``.
        log: Bodies and headers of every request, with the time.
    """

    daemon_threads = True

    def __init__(self, rule: Callable[[str], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rule = rule
        self.trouble: list[Any] = []
        self.log: list[tuple[dict[str, Any], dict[str, str], float]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: clients that give up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.log.append((body, dict(self.headers), time.monotonic()))
        trouble = self.server.trouble.pop(0) if self.server.trouble else None
        if self.path != "/v1/chat/completions":
            return self.answer(404, b'{"error": "no such path"}')
        if isinstance(trouble, int):
            return self.answer(trouble, b'{"error": "trouble"}')
        if isinstance(trouble, tuple) and trouble[0] == "hang":
            time.sleep(trouble[1])
        elif isinstance(trouble, tuple):
            return self.answer(trouble[0], b"{}", trouble[1])
        if trouble == "garbage":
            return self.answer(200, b"<html>busy</html>")
        if trouble == "close":
            self.close_connection = True
            return None
        said = self.server.rule(body["messages"][-1]["content"])
        return self.answer(200, json.dumps(completion(said)).encode())

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def completion(said: Answer) -> dict[str, Any]:
    """The body of a chat completion of 100 tokens read and 2 written."""
    if isinstance(said, dict):
        return said
    return {
        "choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 2},
    }


@contextmanager
def serve(rule: Callable[[str], Answer]) -> Iterator[ChatServer]:
    """A running endpoint."""
    server = ChatServer(rule)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def longer_answer(question: str) -> str:
    """A judge that prefers the longer of the two texts, whichever stands first."""
    first, second = (
        question.split(f"<{tag}>\n")[1].split(f"\n</{tag}>")[0] for tag in ("answer_a", "answer_b")
    )
    if len(first) == len(second):
        return "tie"
    return "A" if len(first) > len(second) else "B"
