"""`doctor` on set-ups that storages and networks break: the line it says, and that its remedy works."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from chequemate.doctor import checks, project_checks
from chequemate.doctor.checks import Finding
from cheques.settings import Settings
from studio.client import Studio, StudioError, Task
from studio.config import DEFAULT_CONFIG, read_config
from tests.network_parts import Proxy, running, s3, tls_server
from tests.test_network import configured, environment  # noqa: F401 (a fixture)
from tests.test_studio_errors import Script, server  # noqa: F401 (a fixture)
from tests.test_studio_images import png, web  # noqa: F401 (a fixture)

CONFIG = read_config(DEFAULT_CONFIG.read_text(encoding="utf-8"))


@dataclass
class Place:
    """Where the broken set-ups stand."""

    tls: str  # an API over TLS, with a certificate of a private CA for "localhost"
    bundle: str  # that CA's
    web: str  # plain HTTP
    moved: str  # an API that redirects
    proxy: Proxy
    files: Path


@pytest.fixture
def place(tmp_path: Path, web: str, server: Script) -> Iterator[Place]:  # noqa: F811
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "c.png").write_bytes(png())
    proxy = Proxy()
    proxy.sites["images.example"] = lambda path: png()
    moved = f"http://127.0.0.1:{server.server_port}"
    server.answers = [(302, {})]
    with tls_server(context) as port, running(proxy):
        yield Place(f"https://localhost:{port}", str(tmp_path / "ca.pem"), web, moved, proxy, tmp_path / "files")


Look = Callable[[Settings], list[Finding]]
Variables = Callable[[Place], dict[str, str]]


def of_studio(own: Settings) -> list[Finding]:
    try:
        return list(checks.studio(Studio.of(own), own))
    except StudioError as error:
        return [checks.of_studio_error(error)]


def of_backend(own: Settings) -> list[Finding]:
    return list(checks.backend(own))


def of_image(url: str) -> Look:
    def looked(own: Settings) -> list[Finding]:
        studio: Any = SimpleNamespace(tasks=lambda *_: iter([Task(4, url, False)]))
        about: Any = SimpleNamespace(id=1)
        return list(project_checks.images(studio, own, about, CONFIG, "project 1"))

    return looked


CASES: dict[
    str, tuple[Callable[[Settings], list[Finding]], Callable[[Place], Any], str, str, Callable[[Place], Any]]
] = {
    "studio: private CA": (
        of_studio,
        lambda at: {"studio_url": at.tls},
        "its certificate is not trusted",
        "set CHEQUEMATE_CA_BUNDLE to its CA's certificate",
        lambda at: {"ca_bundle": at.bundle},
    ),
    "studio: another name": (
        of_studio,
        lambda at: {"studio_url": at.tls.replace("localhost", "127.0.0.1"), "ca_bundle": at.bundle},
        "its certificate is for another name",
        "correct CHEQUEMATE_STUDIO_URL",
        lambda at: {"studio_url": at.tls},
    ),
    "studio: https for http": (
        of_studio,
        lambda at: {"studio_url": at.web.replace("http:", "https:")},
        "it speaks no TLS",
        "correct CHEQUEMATE_STUDIO_URL, http:// or https://",
        lambda at: {"studio_url": at.tls, "ca_bundle": at.bundle},
    ),
    "studio: redirects": (
        of_studio,
        lambda at: {"studio_url": at.moved},
        "redirects",
        "set CHEQUEMATE_STUDIO_URL to its final address",
        lambda at: {"studio_url": at.tls, "ca_bundle": at.bundle},
    ),
    "backend: private CA": (
        of_backend,
        lambda at: {"backend_url": at.tls},
        "its certificate is not trusted",
        "set CHEQUEMATE_CA_BUNDLE",
        lambda at: {"ca_bundle": at.bundle},
    ),
    "backend: another name": (
        of_backend,
        lambda at: {"backend_url": at.tls.replace("localhost", "127.0.0.1"), "ca_bundle": at.bundle},
        "its certificate is for another name",
        "correct CHEQUEMATE_BACKEND_URL",
        lambda at: {"backend_url": at.tls},
    ),
    "images: Label Studio's public address": (
        of_image("https://ls.bank.example/ls/data/local-files/?d=c.png"),
        lambda at: {"studio_url": "http://label-studio:8080", "files_root": str(at.files)},
        "host ls.bank.example is not allowed",
        "set CHEQUEMATE_STUDIO_PUBLIC_URL to its address",
        lambda at: {"studio_public_url": "https://ls.bank.example/ls"},
    ),
    "images: a host of one's own": (
        of_image("WEB/c.png"),  # the place's own
        lambda at: {},
        "host 127.0.0.1 is not allowed",
        "add it to CHEQUEMATE_IMAGE_HOSTS",
        lambda at: {"image_hosts": "127.0.0.1"},
    ),
    "images: a proxy with a password": (
        of_image("http://images.example/c.png"),
        lambda at: {"image_hosts": "images.example", "HTTP_PROXY": f"{at.proxy.url}/closed"},
        "images.example is not reached: the proxy asks for a password (407)",
        "put it into HTTP_PROXY and HTTPS_PROXY",
        lambda at: {"HTTP_PROXY": at.proxy.url.replace("//", "//me:s3cr3t@")},
    ),
    "images: a proxy that is away": (
        of_image("http://images.example/c.png"),
        lambda at: {"image_hosts": "images.example", "HTTP_PROXY": "http://me:s3cr3t@127.0.0.1:1"},
        "the proxy does not answer",
        "correct HTTP_PROXY and HTTPS_PROXY",
        lambda at: {"HTTP_PROXY": at.proxy.url.replace("//", "//me:s3cr3t@")},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_the_line_and_that_its_remedy_works(
    case: str,
    place: Place,
    environment: pytest.MonkeyPatch,  # noqa: F811
) -> None:
    look, broken, said, remedy, mended = CASES[case]
    if case == "images: a host of one's own":
        look = of_image(f"{place.web}/c.png")
    environment.setattr(Studio.__init__, "__defaults__", (5.0, 1))
    place.proxy.password = "bWU6czNjcjN0"  # me:s3cr3t

    def settings(about: dict[str, str]) -> Settings:
        for name in [name for name in about if name.isupper()]:
            environment.setenv(name, about[name])
        return configured(environment, studio_token="0" * 40, **{k: v for k, v in about.items() if not k.isupper()})

    first = look(settings(broken(place)))
    (found,) = [one for one in first if one.state == "broken"]
    assert said in f"{found.what}: {found.remedy}" and remedy in found.remedy
    assert "s3cr3t" not in found.what + found.remedy and "\n" not in found.what + found.remedy
    assert not [one for one in look(settings(mended(place))) if one.state == "broken"]


@pytest.mark.integration
def test_a_bucket_without_its_storage(label_studio: Any, tmp_path: Path) -> None:
    """The remedy is Label Studio's own: a source storage."""
    studio = label_studio.client
    about = studio.create_project("Chèques sans stockage", DEFAULT_CONFIG.read_text(encoding="utf-8"))
    own = label_studio.settings(tmp_path)
    with s3() as storage:
        bucket = storage.bucket(f"doctor-{about.id}", {"c.png": png()})
        studio.import_tasks(about.id, [{"image": f"s3://{bucket}/c.png"}])
        (found,) = project_checks.images(studio, own, about, CONFIG, "project")
        assert found.state == "broken" and f"no source storage for s3://{bucket}" in found.remedy + found.what
        assert "add one in Settings > Cloud Storage" in found.remedy
        storage.storage_in(label_studio.url, label_studio.token, about.id, bucket, presign=True)
        (found,) = project_checks.images(studio, own, about, CONFIG, "project")
        assert found.state == "fine"
