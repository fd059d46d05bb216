"""A hub on the loopback interface that serves dataset files from a folder: enough for downloads."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = re.compile(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.+)")
API = re.compile(r"/api/datasets/([^/]+/[^/]+)(/tree/.+|/revision/.+)?")


class Hub(ThreadingHTTPServer):
    """Serves ``folder/OWNER/NAME/...``; requests are kept in `log`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.log: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.log.append(f"{self.command} {path}")
        if match := FILE.fullmatch(path):
            return self.file(self.server.folder / match[1] / match[2])
        if match := API.fullmatch(path):
            repo = self.server.folder / match[1]
            if not repo.is_dir():
                return self.missing("RepoNotFound")
            files = [p for p in sorted(repo.rglob("*")) if p.is_file()]
            names = [(str(p.relative_to(repo)), p.stat().st_size) for p in files]
            if (match[2] or "").startswith("/tree"):
                body = [
                    {
                        "type": "file",
                        "path": n,
                        "size": size,
                        "oid": hashlib.sha1(n.encode()).hexdigest(),
                    }
                    for n, size in names
                ]
                return self.json(body)
            return self.json(
                {"id": match[1], "sha": COMMIT, "siblings": [{"rfilename": n} for n, _ in names]}
            )
        return self.missing("EntryNotFound")

    do_HEAD = do_GET

    def json(self, body: object) -> None:
        self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def missing(self, why: str) -> None:
        self.answer(404, b"{}", {"X-Error-Code": why, "X-Repo-Commit": COMMIT})

    def file(self, path: Path) -> None:
        if not path.is_file():
            return self.missing("EntryNotFound")
        data = path.read_bytes()
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        self.answer(200, data, {"ETag": etag, "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"})


@contextmanager
def serve(folder: Path) -> Iterator[Hub]:
    """A running hub over a folder."""
    hub = Hub(folder)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
