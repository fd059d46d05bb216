"""A client of OpenAI-compatible chat endpoints: retries, pace, and a cache on disk. No torch.

Only the standard library speaks HTTP here. Redirects are refused, so that neither texts nor the
key reach a host that nobody named.
"""

import email.utils
import hashlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plt.data.cache import CACHE_ELSEWHERE
from plt.data.tables.files import write_text
from plt.errors import ArtifactError, UsageError
from plt.train.models.text_encoder import Message

CACHE_VERSION = 1
RETRIED = (408, 425, 429, 500, 502, 503, 504, 529)
MAX_REPLY_BYTES = 4 * 1024 * 1024
MAX_WAIT_SECONDS = 300.0
TIMED_OUT = "timed out"
NO_COMPLETION = "the reply is no chat completion"
KEPT = ("text", "reason", "finish", "n_tokens_in", "n_tokens_out")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        url: ``https://host/v1``, or the whole address that ends in ``/chat/completions``.
        model: The name that the endpoint knows.
        key: Sent as a bearer token; None sends none. Never shown or stored.
        timeout: Seconds to wait for an answer.
        retries: Further attempts after a time-out, 429, 5xx or a reply that cannot be read.
        first_wait: Seconds before the first retry, doubled for each further one; a server's
            ``Retry-After`` stands above it.
        per_minute: Requests a minute at most; None is as fast as answers come.
        max_tokens: Tokens of an answer.
        options: Further fields of a request, above its own; a field that is None is left out, as
            ``max_tokens`` must be for models that know it by another name.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    retries: int = 5
    first_wait: float = 1.0
    per_minute: float | None = None
    max_tokens: int = 16
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{self.url!r} is no address of an endpoint", hint="--judge-url https://HOST/v1"
            )
        if parts.username or parts.password:
            raise UsageError(
                "the URL holds a name or password, which would be shown in logs",
                hint="put the key into an environment variable: --judge-key-env NAME",
            )
        if parts.query or parts.fragment:
            # It may hold a key, and the address is shown, and kept in the table's command.
            raise UsageError(
                "the URL holds a query or fragment, which would be shown in logs",
                hint="--judge-url https://HOST/v1, and a key in --judge-key-env NAME",
            )
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            # The HTTP library would show such a key in its own error.
            raise UsageError(
                "the key holds a line break, or another character that no request can carry",
                hint="export PLT_JUDGE_KEY=..., with the key alone",
            )

    @property
    def address(self) -> str:
        """Where requests go."""
        base = self.url.rstrip("/")
        return base if base.endswith("/chat/completions") else f"{base}/chat/completions"

    @property
    def host(self) -> str:
        """Host, and port where one is named."""
        return urlsplit(self.url).netloc

    @property
    def in_clear(self) -> bool:
        """Whether texts travel unencrypted to another machine."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in LOOPBACK


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        text: The answer; None when there is none.
        reason: Why there is none.
        finish: Why the model stopped, as the endpoint says.
        n_tokens_in: As the endpoint counts; None where it does not.
        n_tokens_out: Likewise.
        cached: Whether it was asked and paid for earlier.
        failed: Whether no retry brought a reply; then nothing is kept.
    """

    text: str | None
    reason: str | None = None
    finish: str | None = None
    n_tokens_in: int | None = None
    n_tokens_out: int | None = None
    cached: bool = False
    failed: bool = False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Leaves the redirect to be reported as an error."""


@dataclass(frozen=True)
class _Failure:
    """An attempt that may be repeated."""

    reason: str
    wait: float | None = None
    unreachable: bool = False


class ChatClient:
    """Asks an endpoint; safe to use from several threads.

    Args:
        endpoint: Where and how.
        cache: Folder in which answers are kept by the content of the question; None keeps none.
    """

    def __init__(self, endpoint: Endpoint, cache: Path | None) -> None:
        self.endpoint = endpoint
        self._cache = cache
        self._opener = urllib.request.build_opener(_NoRedirects())
        self._turn = threading.Lock()
        self._next = 0.0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends every wait: who asks from another thread gets an error instead of an answer."""
        self._stopped.set()

    def kept(self, messages: Sequence[Message]) -> Reply | None:
        """The answer from the cache, or None."""
        path = self._path(messages)
        if path is None:
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return Reply(**{name: record[name] for name in KEPT}, cached=True)
        except (OSError, ValueError, TypeError, KeyError):
            return None  # not there, or half of a file: asked again

    def ask(self, messages: Sequence[Message]) -> Reply:
        """The answer, from the cache or from the endpoint.

        A time-out or server error that outlasts the retries is a reply without text that says so,
        and is not kept: the next run asks again.

        Raises:
            UsageError: The endpoint refuses the request: wrong key, model or address.
            ArtifactError: It cannot be reached.
        """
        found = self.kept(messages)
        if found is not None:
            return found
        failure = _Failure(TIMED_OUT)
        for attempt in range(self.endpoint.retries + 1):
            if attempt:
                own = self.endpoint.first_wait * 2.0 ** (attempt - 1)
                self._sleep(min(own if failure.wait is None else failure.wait, MAX_WAIT_SECONDS))
            self._wait_for_turn()
            outcome = self._attempt(messages)
            if isinstance(outcome, Reply):
                self._keep(messages, outcome)
                return outcome
            failure = outcome
        if failure.unreachable:
            raise ArtifactError(
                f"{self.endpoint.host} cannot be reached: {failure.reason}",
                hint="type the same line again: finished judgements are kept",
            )
        return Reply(None, failure.reason, failed=True)

    def _body(self, messages: Sequence[Message]) -> dict[str, Any]:
        body = {
            "model": self.endpoint.model,
            "messages": [dict(message) for message in messages],
            "temperature": 0,
            "max_tokens": self.endpoint.max_tokens,
            **self.endpoint.options,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _attempt(self, messages: Sequence[Message]) -> Reply | _Failure:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.endpoint.key:
            headers["Authorization"] = f"Bearer {self.endpoint.key}"
        data = json.dumps(self._body(messages)).encode()
        request = urllib.request.Request(self.endpoint.address, data, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self.endpoint.timeout) as response:
                content = response.read(MAX_REPLY_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error)
        except TimeoutError:
            return _Failure(TIMED_OUT)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                return _Failure(TIMED_OUT)
            return _Failure(str(reason) or type(reason).__name__, unreachable=True)
        return read_reply(content)

    def _refused(self, error: urllib.error.HTTPError) -> _Failure:
        """A failure to repeat after, or an error that no repetition helps."""
        if error.code in RETRIED:
            return _Failure(f"HTTP {error.code}", retry_after(error.headers.get("Retry-After")))
        said = error.read(400).decode("utf-8", "replace").strip()
        if self.endpoint.key:
            said = said.replace(self.endpoint.key, "***")
        hints = {
            400: "--judge-option KEY=VALUE changes a field: max_tokens=null leaves it out",
            401: "export PLT_JUDGE_KEY=..., or name another variable with --judge-key-env",
            403: "export PLT_JUDGE_KEY=..., or name another variable with --judge-key-env",
            404: "check --judge-url (it ends in /v1 for most servers) and --judge-model",
        }
        raise UsageError(
            f"{self.endpoint.host} answered HTTP {error.code} to model {self.endpoint.model!r}",
            problems=[said] if said else [],
            hint=hints.get(error.code),
        )

    def _wait_for_turn(self) -> None:
        if self.endpoint.per_minute is None:
            return
        with self._turn:
            now = time.monotonic()
            mine = max(self._next, now)
            self._next = mine + 60.0 / self.endpoint.per_minute
        self._sleep(mine - now)

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise ArtifactError(
                f"{self.endpoint.host} is asked no more",
                hint="type the same line again: finished judgements are kept",
            )

    def _path(self, messages: Sequence[Message]) -> Path | None:
        if self._cache is None:
            return None
        asked = [CACHE_VERSION, self.endpoint.address, self._body(messages)]
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self._cache / key[:2] / f"{key}.json"

    def _keep(self, messages: Sequence[Message], reply: Reply) -> None:
        path = self._path(messages)
        if path is not None:
            record = {name: getattr(reply, name) for name in KEPT}
            write_text(path, json.dumps(record), CACHE_ELSEWHERE)


def read_reply(content: bytes) -> Reply | _Failure:
    """The answer in the body of a chat completion; a failure to repeat when it is none."""
    try:
        document = json.loads(content)
        choice = document["choices"][0]
        message = choice["message"]
        refusal, text = message.get("refusal"), message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError):
        return _Failure(NO_COMPLETION)
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    n_in, n_out = (count if isinstance(count, int) else None for count in counts)
    finish = choice.get("finish_reason")
    if refusal or finish == "content_filter":
        return Reply(None, "refused", finish, n_in, n_out)
    if not isinstance(text, str) or not text.strip():
        return Reply(None, "empty answer", finish, n_in, n_out)
    return Reply(text, None, finish, n_in, n_out)


def retry_after(value: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number, or a date; None for neither."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
