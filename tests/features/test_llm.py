"""The end point's client, against a real HTTP server on a real socket that misbehaves on demand."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_server import said, serving
from volition.errors import BackendError, InvalidInputError
from volition.features.llm import Endpoint, EndpointSettings

ASK = [{"role": "user", "content": "Hello?"}]
KEY = "sk-secret-0123"


def ask(url, *, key=KEY, timeout_s=10.0):
    return Endpoint(url, "tiny", key, timeout_s).chat(ASK, max_tokens=7)


def test_a_conversation_is_sent_as_the_protocol_has_it_and_the_answer_comes_back():
    with serving((200, {}, said(" Hello. \n"))) as (url, asked):
        assert ask(url) == "Hello."

    (request,) = asked
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["Authorization"] == f"Bearer {KEY}"
    assert request["body"] == {
        "model": "tiny", "messages": ASK, "max_tokens": 7, "temperature": 0, "stream": False,
    }  # fmt: skip


def test_without_a_key_none_is_sent():
    with serving((200, {}, said("Hello."))) as (url, asked):
        ask(url, key=None)
    assert "Authorization" not in asked[0]["headers"]


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status):
    with serving((status, {"Retry-After": "0"}, b"busy"), (200, {}, said("Now."))) as (url, asked):
        assert ask(url) == "Now."
    assert len(asked) == 2


@pytest.mark.slow
def test_a_server_that_stays_busy_is_asked_three_times():
    with serving((500, {}, b"no")) as (url, asked), pytest.raises(BackendError, match=r"answered 500, 3 time"):
        ask(url)
    assert len(asked) == 3


@pytest.mark.parametrize("later", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_server_that_asks_for_more_patience_than_there_is_is_not_asked_again(later):
    with serving((429, {"Retry-After": later}, b"")) as (url, asked), pytest.raises(BackendError, match="429, 1 time"):
        ask(url)
    assert len(asked) == 1


def test_a_refusal_is_reported_without_the_key_and_not_tried_again():
    with (
        serving((401, {}, f"bad key {KEY}".encode())) as (url, asked),
        pytest.raises(BackendError, match="401") as told,
    ):
        ask(url)
    assert len(asked) == 1
    assert KEY not in str(told.value)
    assert KEY not in repr(Endpoint(url, "tiny", KEY, 1))


def test_no_redirect_is_followed():
    with serving((200, {}, said("Stolen."))) as (elsewhere, reached):
        location = {"Location": f"{elsewhere}/chat/completions"}
        with serving((307, location, b"")) as (url, _), pytest.raises(BackendError, match="redirects"):
            ask(url)
    assert reached == []


def test_a_proxy_of_the_environment_gets_nothing(monkeypatch):
    with serving((200, {}, said("Read."))) as (proxy, overheard), serving((200, {}, said("Hello."))) as (url, _):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert ask(url) == "Hello."
    assert overheard == []


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": null}]}', said(None), said("  "),
     b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_an_answer_that_is_none_says_so(body):
    with serving((200, {}, body)) as (url, _), pytest.raises(BackendError, match=r"choices\[0\]"):
        ask(url)


def test_a_huge_answer_is_cut_off():
    with serving((200, {}, said("x" * 2_000_000))) as (url, _), pytest.raises(BackendError, match="1,000,000 bytes"):
        ask(url)


def test_a_compressed_answer_is_not_unpacked():
    with (
        serving((200, {"Content-Encoding": "gzip"}, b"x")) as (url, _),
        pytest.raises(BackendError, match="compressed"),
    ):
        ask(url)


def drip(handler):
    """Answer a byte at a time, each well within a time-out of its own."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("step", [drip, lambda _: time.sleep(2)], ids=["drip", "silence"])
def test_a_slow_answer_is_not_waited_for(step):
    with serving(step) as (url, asked), pytest.raises(BackendError, match=r"within 0\.3 s"):
        ask(url, timeout_s=0.3)
    assert len(asked) == 1


@pytest.mark.slow
def test_a_server_that_is_not_there_is_reported():
    with serving((200, {}, said("Hello."))) as (url, _):
        pass
    with pytest.raises(BackendError, match="cannot be reached"):
        ask(url)


# --- settings ---

GOOD = {"url": "https://llm.example/v1", "model": "tiny"}


def test_settings_are_read_and_the_key_comes_from_the_environment():
    settings = EndpointSettings.from_toml({**GOOD, "key_env": "LLM_KEY", "timeout_s": 5})
    assert settings.connect({"LLM_KEY": KEY}).host == "llm.example"
    with pytest.raises(InvalidInputError, match="LLM_KEY"):
        settings.connect({})
    with pytest.raises(InvalidInputError, match="holds no valid key"):
        settings.connect({"LLM_KEY": "a\r\nHost: b"})


@pytest.mark.parametrize(
    "change",
    [{"key": KEY}, {"model": ""}, {"model": 3}, {"url": None}, {"key_env": ""}, {"timeout_s": 0}, {"timeout_s": True},
     {"timeout_s": "5"}, {"timeout_s": float("nan")}, {"timeout_s": 10**6},
     {"url": "llm.example"}, {"url": "ftp://llm.example"}, {"url": "http://llm.example/v1"}, {"url": "https://"},
     {"url": "https://u:p@llm.example"}, {"url": "https://llm.example/?key=1"}, {"url": "https://llm.example:x/"},
     {"url": "http://127.0.0.1.evil.example"}, {"url": "http://localhost@evil.example"}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(InvalidInputError):
        EndpointSettings.from_toml({**GOOD, **change})


@given(st.text())
def test_whatever_the_url_text_never_goes_unencrypted_to_another_machine(url):
    try:
        settings = EndpointSettings.from_toml({**GOOD, "url": url})
    except InvalidInputError:
        return
    assert settings.url.lower().startswith(("https://", "http://localhost", "http://127.0.0.1", "http://[::1]"))
