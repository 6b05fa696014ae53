"""What is secret stays so, and goes only where it should."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import ipaddress
import logging
import ssl
import traceback
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.chat_server import Behaviour, Exchange, chat_server, completion, fails, resets, says, sends, streams
from support.generations import answer, candidate, generation, model, options

from r2_router.config.settings import Secret
from r2_router.errors import ConfigError, ProviderError, R2Error
from r2_router.generate import Endpoint
from r2_router.net import connections

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


def endpoint(url: str) -> Endpoint:
    return Endpoint(url, Secret(KEY))


async def echo(exchange: Exchange) -> None:
    """Tell the client its own request, in every place there is."""
    said = f"{exchange.headers['authorization']} {KEY[:20]}***"
    await exchange.whole(
        f'{{"error": {{"message": "refused {said}", "code": 401}}}}'.encode(),
        401,
        x_request_id=said,
        retry_after=said,
        set_cookie=f"k={KEY}",
    )


async def echo_in_text(exchange: Exchange) -> None:
    said = exchange.headers["authorization"]
    document = completion("Rome") | {"id": said, "model": said}
    document["choices"][0]["finish_reason"] = said
    await exchange.whole(str(document).replace("'", '"').encode())


def test_the_key_is_sent_as_a_bearer() -> None:
    with chat_server() as server:
        answer(server, resolve=lambda m: endpoint(m.base_url))
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("behaviour", "level"),
    [
        (fails(500, f"bad {KEY}"), logging.DEBUG),
        (sends(f"plain {KEY}".encode(), 500), logging.DEBUG),
        (sends({"error": f"Incorrect API key provided: {KEY[:12]}****cdef"}), logging.DEBUG),
        (streams(f'data: {{"error": "{KEY}"}}\n\n'.encode()), logging.DEBUG),
        (streams(f"data: {KEY}\n\n".encode()), logging.DEBUG),
        (resets(), logging.DEBUG),
        # Response headers are traced by httpcore itself, for who asks it to.
        (echo, logging.INFO),
        (streams(b"x", content_encoding=KEY), logging.INFO),
        (sends(b"", 307, location=f"https://example.org/?k={KEY}"), logging.INFO),
    ],
)
def test_the_key_is_in_no_error_log_or_traceback(
    behaviour: Behaviour, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level)
    with chat_server(behaviour) as server:
        asked = generation(server, resolve=lambda m: endpoint(m.base_url), options=options(tries=2))
        with pytest.raises(R2Error) as raised:
            asyncio.run(asked.result())
        told = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    shown = ["".join(told.format()), repr(raised.value), repr(asked), repr(raised.value.attempts), caplog.text]  # type: ignore[attr-defined]
    for text in shown:
        assert KEY not in text
        assert KEY[:12] not in text


def test_the_key_is_in_no_answer() -> None:
    with chat_server(echo_in_text) as server:
        got = answer(server, resolve=lambda m: endpoint(m.base_url))
    assert (got.text, got.served_model) == ("Rome", "Bearer [key]")
    assert KEY not in repr(got)
    assert KEY not in str(got.to_dict())


def test_an_endpoint_does_not_show_its_key() -> None:
    asked = endpoint("https://example.org/v1/")
    assert repr(asked) == "Endpoint('https://example.org/v1/')"
    assert asked.chat_url == "https://example.org/v1/chat/completions"
    assert asked.host == "example.org"
    assert copy.copy(asked) == asked == endpoint("https://example.org/v1/")
    assert asked != Endpoint("https://example.org/v1/")


def test_what_a_server_says_is_fit_to_be_shown() -> None:
    plain = Endpoint("http://localhost/v1")
    assert plain.shown("a\n\tb\x1b[31m\u202e c") == "a b [31m c"
    assert len(plain.shown("x" * 10_000)) == 300
    assert endpoint("http://localhost/v1").shown("x" * 290 + KEY) == "x" * 290 + "[key]"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "not an http"),
        ("localhost:8000/v1", "not an http"),
        ("ftp://example.org", "not an http"),
        ("https://", "not an http"),
        ("http://[::1", "not an http"),
        ("http://example.org:port/", "not an http"),
        ("https://user:secret@example.org/v1", "user and password"),
        ("https://example.org/v1?api_key=secret", "api_key_env"),
        ("https://example.org/v1#secret", "holds more than an address"),
    ],
)
def test_a_base_url_that_cannot_be_asked(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        Endpoint(url)
    assert "secret" not in str(raised.value)


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(says("from the proxy")) as proxy, chat_server(says("Rome")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert answer(server).text == "Rome"
        assert proxy.requests == []


def test_a_proxy_is_asked_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(says("from the proxy")) as proxy:
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert answer("http://models.example/v1").text == "from the proxy"


# -- TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that it signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_key_is_sent(certificate: Path) -> None:
    with chat_server(tls=tls(certificate)) as server:
        with pytest.raises(ProviderError, match=r"certificate of 127\.0\.0\.1 is not trusted\. Set SSL_CERT_FILE"):
            answer(server, resolve=lambda m: endpoint(m.base_url))
        assert server.requests == []


def test_an_authority_of_ones_own(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    connections.trusted.cache_clear()
    try:
        with chat_server(says("Rome"), tls=tls(certificate)) as server:
            assert answer(server).text == "Rome"
            assert server.wait_closed()
    finally:
        connections.trusted.cache_clear()


def test_the_key_of_one_endpoint_does_not_reach_another() -> None:
    with chat_server(fails(404)) as first, chat_server(says("Rome")) as second:
        models = {"a": model("a", first.url), "b": model("b", second.url)}
        answer(
            first,
            [candidate("a"), candidate("b")],
            models=models,
            resolve=lambda m: endpoint(m.base_url) if m.name == "a" else Endpoint(m.base_url),
        )
        assert "authorization" in first.requests[0].headers
        assert "authorization" not in second.requests[0].headers
