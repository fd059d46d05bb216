"""The HTTP client on real sockets: retries, pace, cache, and what it never does."""

import email.utils
import time
from pathlib import Path

import pytest

from plt.errors import ArtifactError, UsageError
from plt.train.judges.chat_client import ChatClient, Endpoint, read_reply, retry_after
from tests.train.loopback_chat import serve

ASK = [{"role": "user", "content": "which?"}]


def endpoint(url: str, **options: object) -> Endpoint:
    given = {"first_wait": 0.01, "retries": 3, "timeout": 5.0} | options
    return Endpoint(url, "judge", **given)  # type: ignore[arg-type]  # a mapping of options


def test_an_answer_comes_with_its_tokens_and_is_kept(tmp_path: Path) -> None:
    with serve(lambda question: f"said {question}") as server:
        client = ChatClient(endpoint(server.url, key="secret"), tmp_path)
        reply = client.ask(ASK)
        assert (reply.text, reply.n_tokens_in, reply.n_tokens_out) == ("said which?", 100, 2)
        again = ChatClient(endpoint(server.url), tmp_path).ask(ASK)
        assert (again.text, again.cached, len(server.log)) == ("said which?", True, 1)
        body, headers, _ = server.log[0]
        assert body["temperature"] == 0
        assert headers["Authorization"] == "Bearer secret"
    stored = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(stored) == 1
    assert "secret" not in stored[0] + repr(client.endpoint)
    assert "which?" not in stored[0].replace("said which?", "")


def test_fields_of_a_request_can_be_changed_and_left_out(tmp_path: Path) -> None:
    with serve(lambda question: "A") as server:
        options = {"max_tokens": None, "max_completion_tokens": 99}
        ChatClient(endpoint(server.url, options=options), tmp_path).ask(ASK)
        ChatClient(endpoint(server.url), tmp_path).ask(ASK)
        changed, plain = (body for body, _, _ in server.log)
    assert (changed["max_completion_tokens"], "max_tokens" in changed) == (99, False)
    assert plain["max_tokens"] == 16


@pytest.mark.parametrize("what", ["messages", "model"])
def test_another_question_or_model_is_asked_anew(tmp_path: Path, what: str) -> None:
    with serve(lambda question: "A") as server:
        ChatClient(endpoint(server.url), tmp_path).ask(ASK)
        if what == "messages":
            ChatClient(endpoint(server.url), tmp_path).ask([{"role": "user", "content": "other"}])
        else:
            ChatClient(Endpoint(server.url, "another"), tmp_path).ask(ASK)
        assert len(server.log) == 2


@pytest.mark.parametrize("trouble", [500, 503, 429, "garbage", "close"])
def test_what_may_pass_is_tried_again(trouble: object) -> None:
    with serve(lambda question: "B") as server:
        server.trouble = [trouble, trouble]
        assert ChatClient(endpoint(server.url), None).ask(ASK).text == "B"
        assert len(server.log) == 3


def test_retry_after_is_obeyed() -> None:
    with serve(lambda question: "A") as server:
        server.trouble = [(429, {"Retry-After": "0.4"})]
        assert ChatClient(endpoint(server.url), None).ask(ASK).text == "A"
        first, second = (at for _, _, at in server.log)
        assert second - first >= 0.4


def test_retry_after_is_a_number_or_a_date() -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after("2.5") == 2.5
    assert retry_after(date) == pytest.approx(30, abs=2)
    assert [retry_after(None), retry_after("soon"), retry_after("-1")] == [None, None, 0.0]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(500, "HTTP 500"), ("garbage", "the reply is no chat completion"), (429, "HTTP 429")],
)
def test_what_does_not_pass_is_a_reason_and_is_not_kept(
    tmp_path: Path, trouble: object, reason: str
) -> None:
    with serve(lambda question: "A") as server:
        server.trouble = [trouble] * 4
        client = ChatClient(endpoint(server.url), tmp_path)
        reply = client.ask(ASK)
        assert (reply.text, reply.reason, reply.failed) == (None, reason, True)
        assert client.ask(ASK).text == "A"


def test_a_time_out_is_a_reason() -> None:
    with serve(lambda question: "A") as server:
        server.trouble = [("hang", 0.5)] * 2
        reply = ChatClient(endpoint(server.url, timeout=0.1, retries=1), None).ask(ASK)
        assert (reply.reason, reply.failed) == ("timed out", True)


def test_a_host_that_is_not_there_ends_the_work() -> None:
    with serve(lambda question: "A") as server:
        url = server.url
    with pytest.raises(ArtifactError, match="cannot be reached"):
        ChatClient(endpoint(url, retries=1), None).ask(ASK)


def test_a_wrong_key_ends_the_work_at_once_and_is_not_shown() -> None:
    with serve(lambda question: "A") as server:
        server.trouble = [401]
        with pytest.raises(UsageError, match="HTTP 401") as caught:
            ChatClient(endpoint(server.url, key="trouble"), None).ask(ASK)
        assert len(server.log) == 1
        assert caught.value.problems == ['{"error": "***"}']
        assert "--judge-key-env" in str(caught.value)


def test_redirects_are_not_followed() -> None:
    with serve(lambda question: "A") as other, serve(lambda question: "A") as server:
        server.trouble = [(302, {"Location": f"{other.url}/chat/completions"})] * 2
        with pytest.raises(UsageError, match="HTTP 302"):
            ChatClient(endpoint(server.url, key="secret"), None).ask(ASK)
        assert other.log == []


def test_the_pace_is_kept() -> None:
    with serve(lambda question: "A") as server:
        client = ChatClient(endpoint(server.url, per_minute=600), None)
        for i in range(4):
            client.ask([{"role": "user", "content": str(i)}])
        times = [at for _, _, at in server.log]
        assert times[-1] - times[0] >= 0.28


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": None, "refusal": "I will not"}, "refused"),
        ({"content": ""}, "empty answer"),
        ({"content": None}, "empty answer"),
    ],
)
def test_replies_without_an_answer_say_why(message: dict[str, object], reason: str) -> None:
    import json

    reply = read_reply(json.dumps({"choices": [{"message": message}]}).encode())
    assert reply.reason == reason


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [1]}'])
def test_hostile_bodies_are_no_completion(content: bytes) -> None:
    assert read_reply(content).reason == "the reply is no chat completion"


@pytest.mark.parametrize("url", ["localhost:80/v1", "ftp://host/v1", "https://", "http://a:b@h/v1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Endpoint(url, "m")


@pytest.mark.parametrize("url", ["https://h/v1?api-key=secret", "https://h/v1#secret"])
def test_a_key_in_the_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="query") as caught:
        Endpoint(url, "m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["secret\r", "secret\n", "sec\u2019ret"])
def test_a_key_that_no_request_carries_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError, match="the key holds") as caught:
        Endpoint("https://h/v1", "m", key)
    assert "ret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_addresses() -> None:
    assert Endpoint("https://h/v1/", "m").address == "https://h/v1/chat/completions"
    assert Endpoint("https://h/x/chat/completions", "m").address == "https://h/x/chat/completions"
    assert Endpoint("http://h/v1", "m").in_clear
    assert not Endpoint("http://127.0.0.1:1/v1", "m").in_clear


def test_half_a_cache_file_is_asked_again(tmp_path: Path) -> None:
    with serve(lambda question: "A") as server:
        client = ChatClient(endpoint(server.url), tmp_path)
        client.ask(ASK)
        (file,) = (path for path in tmp_path.rglob("*.json"))
        file.write_text('{"text": "A"')
        assert not client.ask(ASK).cached
        assert client.ask(ASK).cached
