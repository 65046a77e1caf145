"""Proxies and certificates as companies have them: what may be seen by whom, and the line that says what is wrong."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from chequemate.doctor import checks
from cheques import settings as module
from cheques.images import BadImage
from cheques.settings import BadSettings, Settings
from reader.reading import ReaderError
from reader.remote.server import Server
from studio.client import Studio, StudioError, Task
from studio.config import DEFAULT_CONFIG, read_config
from studio.images import fetch_image
from tests.network_parts import Proxy, running, tls_server
from tests.redis_parts import free_port
from tests.test_studio_images import png, web  # noqa: F401
from worker.backend_client import BackendClient, BackendError

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy")
TASKS = [Task(1, "/c.png", False)]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """What the settings do to the environment ends with the test."""
    for name in (*VARIABLES, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")  # so that it is set back even where it was not set
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    module.settings.cache_clear()
    yield monkeypatch
    module.settings.cache_clear()


@pytest.fixture
def proxy(environment: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy()
    environment.setenv("HTTP_PROXY", proxy.url)
    environment.setenv("HTTPS_PROXY", proxy.url)
    with running(proxy):
        yield proxy


def configured(environment: pytest.MonkeyPatch, **values: str) -> Settings:
    """The settings of a process with these variables."""
    for name, value in values.items():
        environment.setenv(f"CHEQUEMATE_{name.upper()}", value)
    module.settings.cache_clear()
    return module.settings()


def backend_client(own: Settings) -> object:
    return BackendClient(own, 1, XML, read_config(XML), patience=0.1).read(TASKS, "base")


CLIENTS: dict[str, tuple[Callable[[Settings], object], type[Exception], str]] = {
    "requests": (lambda own: Studio.of(own).server_version(), StudioError, "studio_url"),
    "sdk": (lambda own: Studio.of(own).whoami(), StudioError, "studio_url"),
    "backend": (backend_client, BackendError, "backend_url"),
    "reader": (lambda own: Server(str(own.reader_url), None).base_model("m"), ReaderError, "reader_url"),
}


def called(client: str, environment: pytest.MonkeyPatch, url: str, **more: str) -> str:
    """What a client of ours says when it calls `url`; nothing where all is well."""
    call, raised, setting = CLIENTS[client]
    own = configured(environment, **{setting: url, "studio_token": "0" * 40, "password": "secret"}, **more)
    environment.setattr(Studio.__init__, "__defaults__", (5.0, 1))
    try:
        call(own)
    except raised as error:
        return str(error)
    except KeyError:  # of the answer's content, which is nobody's here
        return ""
    return ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "our-own-host.invalid"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxy_never_sees_loopback_and_our_own_hosts(
    environment: pytest.MonkeyPatch, proxy: Proxy, client: str, host: str
) -> None:
    line = called(client, environment, f"http://{host}:{free_port()}")
    assert line and "\n" not in line
    assert proxy.seen == []


def test_the_proxy_is_asked_for_what_is_outside(environment: pytest.MonkeyPatch, proxy: Proxy) -> None:
    proxy.sites["images.example"] = lambda path: png() if path == "/c.png" else None
    own = configured(environment, image_hosts="images.example", no_proxy="")
    assert fetch_image("http://images.example/c.png", own, 1).size == (6, 4)
    assert proxy.seen == ["GET http://images.example/c.png"]


def test_what_was_excepted_from_the_proxy_stays_so(environment: pytest.MonkeyPatch, proxy: Proxy) -> None:
    environment.setenv("NO_PROXY", "intranet.example, 10.0.0.0/8")
    configured(environment, studio_url="http://studio.example:8080/ls")
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"]
    assert os.environ["no_proxy"].split(",") == [
        "intranet.example",
        "10.0.0.0/8",
        "localhost",
        "127.0.0.1",
        "::1",
        "studio.example",
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_asks_for_a_password_is_one_line(
    environment: pytest.MonkeyPatch, proxy: Proxy, scheme: str
) -> None:
    proxy.closed = True
    own = configured(environment, image_hosts="images.example")
    with pytest.raises(
        BadImage, match=r"images.example is not reached: the proxy asks for a password \(407\)"
    ) as caught:
        fetch_image(f"{scheme}://images.example/c.png?X-Amz-Signature=s3cr3t", own, 1)
    assert "s3cr3t" not in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_proxy_that_is_away_is_one_line_without_its_password(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", f"http://me:s3cr3t@127.0.0.1:{free_port()}")
    own = configured(environment, image_hosts="images.example")
    with pytest.raises(BadImage, match="the proxy does not answer: correct HTTP_PROXY") as caught:
        fetch_image("http://images.example/c.png", own, 1)
    assert "s3cr3t" not in str(caught.value)


class TestCertificates:
    @pytest.fixture(scope="class")
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture(scope="class")
    def bundle(self, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
        path = tmp_path_factory.mktemp("ca") / "ca.pem"
        authority.cert_pem.write_to_path(path)
        return str(path)

    @pytest.fixture(scope="class")
    def port(self, authority: trustme.CA) -> Iterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        with tls_server(context) as port:
            yield port

    @pytest.mark.parametrize("client", CLIENTS)
    def test_one_setting_has_every_client_trust_a_private_ca(
        self, environment: pytest.MonkeyPatch, client: str, port: int, bundle: str
    ) -> None:
        url = f"https://localhost:{port}"
        line = called(client, environment, url)
        assert "its certificate is not trusted (unable to get local issuer certificate)" in line
        assert "set CHEQUEMATE_CA_BUNDLE to its CA's certificate (PEM)" in line and "start it" not in line
        assert called(client, environment, url, ca_bundle=bundle) == ""

    @pytest.mark.parametrize("client", CLIENTS)
    def test_a_certificate_of_another_name_says_so(
        self, environment: pytest.MonkeyPatch, client: str, port: int, bundle: str
    ) -> None:
        line = called(client, environment, f"https://127.0.0.1:{port}", ca_bundle=bundle)
        assert "its certificate is for another name (IP address mismatch" in line
        assert f"correct CHEQUEMATE_{CLIENTS[client][2].upper()}" in line

    @pytest.mark.parametrize("client", CLIENTS)
    def test_https_where_http_is_spoken_says_so(
        self,
        environment: pytest.MonkeyPatch,
        client: str,
        web: str,  # noqa: F811
    ) -> None:
        assert "it speaks no TLS" in called(client, environment, web.replace("http:", "https:"))

    def test_an_image_from_a_host_that_is_not_trusted(
        self, environment: pytest.MonkeyPatch, port: int, bundle: str
    ) -> None:
        own = configured(environment, image_hosts="localhost")
        with pytest.raises(BadImage, match="localhost is not reached: its certificate is not trusted"):
            fetch_image(f"https://localhost:{port}/c.png", own, 1)
        own = configured(environment, image_hosts="localhost", ca_bundle=bundle)
        with pytest.raises(BadImage, match="not a PNG"):
            fetch_image(f"https://localhost:{port}/c.png", own, 1)

    def test_doctor_says_it_of_the_backend(self, environment: pytest.MonkeyPatch, port: int) -> None:
        (found,) = checks.backend(configured(environment, backend_url=f"https://localhost:{port}"))
        assert found.state == "broken" and "its certificate is not trusted" in found.what
        assert found.remedy == "set CHEQUEMATE_CA_BUNDLE to its CA's certificate (PEM)"

    def test_the_public_certificates_stay_trusted(self, environment: pytest.MonkeyPatch, bundle: str) -> None:
        import certifi

        configured(environment, ca_bundle=bundle)
        trusted = Path(os.environ["REQUESTS_CA_BUNDLE"]).read_text()
        assert Path(certifi.where()).read_text() in trusted and Path(bundle).read_text() in trusted
        assert os.environ["SSL_CERT_FILE"] == os.environ["REQUESTS_CA_BUNDLE"]

    @pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"\x30\x82", "no certificate in it")])
    def test_a_file_without_certificates_is_refused_at_the_start(
        self, environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
    ) -> None:
        if content:
            (tmp_path / "ca.der").write_bytes(content)
        with pytest.raises(BadSettings, match=f"CHEQUEMATE_CA_BUNDLE: .*no file with certificates in PEM .*{said}"):
            configured(environment, ca_bundle=str(tmp_path / "ca.der"))
