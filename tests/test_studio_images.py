"""Which image URLs are fetched, from where, and what is said of the others."""

from __future__ import annotations

import base64
import io
import json
import threading
import unicodedata
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import pytest
from PIL import Image
from pydantic import SecretStr

from cheques.images import BadImage
from cheques.settings import Settings
from studio import images
from studio.client import Studio
from studio.images import ImageAway
from studio.storages import serves


def png(size: tuple[int, int] = (6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, "PNG")
    return buffer.getvalue()


WEB_SAW: list[tuple[str, str | None]] = []  # paths, and the auth that came with them


class Web(BaseHTTPRequestHandler):
    """Serves /c.png, redirects from /to/…, and streams for ever from /endless."""

    def do_GET(self) -> None:
        WEB_SAW.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/expired"):
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"<Error><Code>ExpiredToken</Code><Token>s3cr3t</Token></Error>")
        elif self.path.partition("?")[0] in ("/c.png", "/data/upload/c.png"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png())
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                pass
        else:
            status = self.path[1:].partition("?")[0]
            self.send_error(int(status) if status.isdigit() else 404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, studio_url="http://studio.example", studio_token=None, **more)  # type: ignore[call-arg]


def fetch(url: Any, own: Settings) -> Image.Image:
    return images.fetch_image(url, own, project=7)


def test_a_local_file_is_read_from_the_shared_root(tmp_path: Path) -> None:
    (tmp_path / "été").mkdir()
    (tmp_path / "été" / "c 1.png").write_bytes(png())
    for url in (
        "/data/local-files/?d=%C3%A9t%C3%A9/c%201.png",
        "http://studio.example/data/local-files/?d=été/c+1.png",
    ):
        assert fetch(url, settings(files_root=tmp_path)).size == (6, 4)


@pytest.mark.parametrize("name", ["c 1.png", "reçu n°5.png", "100%.png", "a+b.png", "a&b=c.png", "50%25.png"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_name_is_found_encoded_or_typed_by_hand(tmp_path: Path, name: str, form: Literal["NFC", "NFD"]) -> None:
    (tmp_path / unicodedata.normalize(form, "été")).mkdir()
    (tmp_path / unicodedata.normalize(form, "été") / unicodedata.normalize(form, name)).write_bytes(png())
    for written in (quote(f"été/{name}"), quote(unicodedata.normalize("NFD", f"été/{name}")), f"été/{name}"):
        assert fetch(f"/data/local-files/?d={written}", settings(files_root=tmp_path)).size == (6, 4)


def test_of_two_names_that_a_url_may_mean_the_one_label_studio_shows_is_read(tmp_path: Path) -> None:
    (tmp_path / "a+b.png").write_bytes(png())
    (tmp_path / "a b.png").write_bytes(png((9, 9)))
    assert fetch("/data/local-files/?d=a+b.png", settings(files_root=tmp_path)).size == (9, 9)


def test_the_page_of_the_settings_is_read(tmp_path: Path) -> None:
    pages = [Image.new("L", (20 + page, 10), "white") for page in range(2)]
    pages[0].save(tmp_path / "fax.tif", save_all=True, append_images=pages[1:])
    assert fetch("/data/local-files/?d=fax.tif", settings(files_root=tmp_path, page=2)).size == (21, 10)


@pytest.mark.parametrize("path", ["../secret.png", "/../secret.png", "%2e%2e/secret.png", "link.png"])
def test_nothing_outside_the_root_is_read(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadImage, match="leaves CHEQUEMATE_FILES_ROOT"):
        fetch(f"/data/local-files/?d={path}", settings(files_root=root))


@pytest.mark.parametrize(
    ("inside", "public", "url"),
    [
        ("http://label-studio:8080", "http://localhost:8080", "http://localhost:8080/data/local-files/?d=c.png"),
        ("http://label-studio:8080", "https://ls.example/", "https://ls.example:443/data/local-files/?d=c.png"),
        ("http://label-studio:8080", "https://ls.example/ls/", "https://ls.example/ls/data/local-files/?d=c.png"),
        ("http://label-studio:8080", "https://ls.example/ls", "http://label-studio:8080/data/local-files/?d=c.png"),
        ("http://label-studio:8080", "https://ls.example/ls", "/ls/data/local-files/?d=c.png"),
        ("https://ls.example/ls", None, "/ls/data/local-files/?d=c.png"),
        ("https://ls.example/ls", None, "/data/local-files/?d=c.png"),
    ],
)
def test_every_address_of_label_studio_is_label_studio(
    tmp_path: Path, inside: str, public: str | None, url: str
) -> None:
    (tmp_path / "c.png").write_bytes(png())
    own = Settings(_env_file=None, studio_url=inside, studio_public_url=public, files_root=tmp_path)  # type: ignore
    assert fetch(url, own).size == (6, 4)


def test_what_looks_like_label_studio_at_another_address_says_what_to_set(tmp_path: Path) -> None:
    for url in ("http://localhost:8080/data/local-files/?d=c.png", "http://localhost:8080/ls/data/upload/1/c.png"):
        with pytest.raises(BadImage, match="if it is Label Studio as people open it, set CHEQUEMATE_STUDIO_PUBLIC_URL"):
            fetch(url, settings(files_root=tmp_path))


def test_a_file_is_fetched_from_where_we_reach_label_studio_and_from_nowhere_else(web: str) -> None:
    about = {"studio_url": web, "studio_public_url": "http://localhost:1/ls", "studio_token": "0" * 40}
    own = Settings(_env_file=None, **about)  # type: ignore[call-arg, arg-type]
    for url in ("http://localhost:1/ls/data/upload/c.png", "/ls/data/upload/c.png", "/data/upload/c.png"):
        assert fetch(url, own).size == (6, 4)


def test_a_data_uri_is_an_image() -> None:
    assert fetch("data:image/png;base64," + base64.b64encode(png()).decode(), settings()).size == (6, 4)


def test_an_allowed_host_is_fetched_with_its_port_or_without(web: str) -> None:
    assert fetch(f"{web}/c.png", settings(image_hosts=("127.0.0.1",))).size == (6, 4)
    assert fetch(f"{web}/c.png", settings(image_hosts=(web.removeprefix("http://"),))).size == (6, 4)


def test_a_redirect_leads_to_allowed_hosts_only(web: str) -> None:
    here = settings(image_hosts=("127.0.0.1",))
    assert fetch(f"{web}/to//c.png", here).size == (6, 4)
    with pytest.raises(BadImage, match=r"host 10\.0\.0\.1 is not allowed"):
        fetch(f"{web}/to/http://10.0.0.1/c.png", here)
    with pytest.raises(BadImage, match="scheme 'file'"):
        fetch(f"{web}/to/file:///etc/passwd", here)


class TestWhatLabelStudioRedirectsTo:
    """Label Studio resolves what lies in a storage to a signed address of the storage: with no token of ours."""

    ASKED: ClassVar[list[tuple[str, str]]] = []
    TARGET = ""
    STORAGES: ClassVar[list[dict[str, Any]]] = []

    @pytest.fixture
    def studio(self) -> Iterator[Settings]:
        case = type(self)
        case.ASKED.clear()

        class Resolving(Web):
            def do_GET(self) -> None:
                case.ASKED.append((self.path, self.headers.get("Authorization", "")))
                if "/presign/" in self.path:
                    self.send_response(303)
                    self.send_header("Location", case.TARGET)
                    self.end_headers()
                elif self.path.startswith("/api/storages/"):
                    content = json.dumps(case.STORAGES).encode()
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                else:
                    super().do_GET()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Resolving)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        about = {"studio_url": f"http://127.0.0.1:{server.server_port}", "studio_token": "0" * 40}
        yield Settings(_env_file=None, **about)  # type: ignore[call-arg, arg-type]
        server.shutdown()

    def test_the_token_stays_with_label_studio(self, studio: Settings, web: str, tmp_path: Path) -> None:
        case = type(self)
        case.TARGET, case.STORAGES[:] = f"{web}/c.png?X-Amz-Signature=s3cr3t", [storage(web)]
        assert fetch("s3://bucket/c.png", studio).size == (6, 4)
        paths = [path for path, authorization in self.ASKED if authorization == f"Token {'0' * 40}"]
        assert paths == ["/projects/7/presign/?fileuri=czM6Ly9idWNrZXQvYy5wbmc=", "/api/storages/?project=7"]
        assert WEB_SAW[-1] == ("/c.png?X-Amz-Signature=s3cr3t", None)

    @pytest.mark.parametrize(
        ("target", "said"),
        [
            ("http://10.0.0.1/c.png?X-Amz-Sig=s3cr3t", r"host 10\.0\.0\.1 is not allowed"),
            (
                "http://169.254.169.254/latest/meta-data?X-Amz-Signature=s3cr3t",
                r"host 169\.254\.169\.254 is not allowed",
            ),
            ("{web}/to/http://10.0.0.1/c.png?X-Amz-Sig=s3cr3t", r"host 10\.0\.0\.1 is not allowed"),
            (
                "{web}/expired?X-Amz-Signature=s3cr3t",
                r"storage at 127\.0\.0\.1 answers 403 \(ExpiredToken\): check bucket",
            ),
            (
                "{web}/404?X-Amz-Signature=s3cr3t",
                r"storage at 127\.0\.0\.1 answers 404 \(no reason given\): check bucket",
            ),
            (
                "https://127.0.0.1:2/?X-Amz-Sig=s3cr3t",
                "redirects: set CHEQUEMATE_STUDIO_URL to its final address",
            ),
        ],
    )
    def test_every_trouble_is_one_line_without_the_signature(
        self, studio: Settings, web: str, target: str, said: str
    ) -> None:
        case = type(self)
        case.TARGET, case.STORAGES[:] = target.format(web=web), [storage(web), storage("http://169.254.169.254")]
        with pytest.raises(BadImage, match=said) as caught:
            fetch("s3://bucket/c.png", studio)
        assert "s3cr3t" not in str(caught.value) and "X-Amz" not in str(caught.value) and "\n" not in str(caught.value)


def storage(endpoint: str) -> dict[str, Any]:
    return {"type": "s3", "bucket": "bucket", "s3_endpoint": endpoint}


@pytest.mark.parametrize(
    ("about", "host", "port", "may"),
    [
        ({"type": "s3"}, "s3.amazonaws.com", 443, True),
        ({"type": "s3"}, "bank.s3.eu-west-3.amazonaws.com", 443, True),
        ({"type": "s3"}, "others.s3.eu-west-3.amazonaws.com", 443, False),
        ({"type": "s3"}, "s3.dualstack.eu-west-3.amazonaws.com", 443, True),
        ({"type": "s3"}, "s3.cn-north-1.amazonaws.com.cn", 443, True),
        ({"type": "s3"}, "ec2-1.amazonaws.com", 443, False),
        ({"type": "s3"}, "s3.amazonaws.com.evil.example", 443, False),
        ({"type": "s3"}, "s3.amazonaws.com", 80, False),
        ({"type": "s3", "s3_endpoint": "http://minio:9000"}, "minio", 9000, True),
        ({"type": "s3", "s3_endpoint": "http://minio:9000"}, "bank.minio", 9000, True),
        ({"type": "s3", "s3_endpoint": "http://minio:9000"}, "minio", 9001, False),
        ({"type": "s3", "s3_endpoint": "http://minio:9000"}, "s3.amazonaws.com", 443, False),
        ({"type": "s3", "s3_endpoint": "http://[::1"}, "::1", 80, False),
        ({"type": "gcs"}, "storage.googleapis.com", 443, True),
        ({"type": "gcs"}, "compute.googleapis.com", 443, False),
        ({"type": "azure"}, "account.blob.core.windows.net", 443, True),
        ({"type": "azure_blob"}, "account.blob.core.windows.net", 443, True),
        ({"type": "azure_blob"}, "account.blob.core.windows.net.evil.example", 443, False),
        ({"type": "localfiles"}, "", None, False),
        ({"type": "redis"}, "redis", 6379, False),
    ],
)
def test_where_the_files_of_a_storage_may_lie(about: dict[str, Any], host: str, port: int | None, may: bool) -> None:
    assert serves([{"bucket": "bank", **about}], host, port) == may


@pytest.mark.parametrize("uri", ["s3://bucket/c.png", "gs://b/d'\u00e9t\u00e9 (1)+.png", "azure-blob://box/c.png"])
def test_a_stored_file_has_one_name(uri: str) -> None:
    own = settings()
    encoded = base64.urlsafe_b64encode(uri.encode()).decode()
    for path in (
        f"/tasks/3/resolve/?fileuri={encoded}",
        f"http://studio.example/tasks/3/presign/?fileuri={quote(uri)}",
    ):
        assert images.name_of(path, own) == uri
    for other in (uri, "/data/upload/c.png", f"http://evil.example/tasks/3/resolve/?fileuri={encoded}", "http://[::1"):
        assert images.name_of(other, own) == other


def test_a_download_ends_at_the_limit(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST", 1_000_000)
    with pytest.raises(BadImage, match="more than 1 MB"):
        fetch(f"{web}/endless", settings(image_hosts=("127.0.0.1",)))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "no image"),
        ("  ", "no image"),
        ("http://169.254.169.254/latest/meta-data", "not allowed: add it to CHEQUEMATE_IMAGE_HOSTS"),
        ("http://studio.example:8081/data/upload/c.png", "not allowed"),
        ("http://studio.example@evil.example/c.png", "host evil.example is not allowed"),
        ("http://127.0.0.1:80\\@images.example/c.png", r"host 127\.0\.0\.1 is not allowed"),
        ("http://images.example:99999/c.png", "not a URL"),
        ("file:///etc/passwd", "scheme 'file' is not fetched"),
        ("//evil.example/c.png", "not fetched"),
        ("s3://bucket/c.png", "set CHEQUEMATE_STUDIO_TOKEN"),
        ("sftp://bucket/c.png", "scheme 'sftp' is not fetched"),
        ("c.png", "not fetched"),
        ("http://[::1", "not a URL"),
        ("data:image/png;base64,@@", "no base64"),
        ("data:image/png", "without data"),
        ("data:,text", "not a PNG"),
        ("/api/current-user/token", "not a file of Label Studio"),
        ("/data/%2e%2e/api/current-user/token", "not a file of Label Studio"),
        ("/data/upload/1/c.png", "set CHEQUEMATE_STUDIO_TOKEN"),
        ("/data/local-files/?d=none.png", "no such file under CHEQUEMATE_FILES_ROOT"),
        ("/data/local-files/?d=%00", "file not read"),
        ("/data/local-files/", "no such file"),
    ],
)
def test_everything_else_is_refused_in_one_line(url: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=said) as caught:
        fetch(url, settings(files_root=tmp_path, image_hosts=("images.example",)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("status", "passes"), [(429, True), (503, True), (408, True), (404, False), (403, False)])
def test_a_host_that_is_busy_is_asked_again_later(web: str, status: int, passes: bool) -> None:
    with pytest.raises(BadImage, match=str(status)) as caught:
        fetch(f"{web}/{status}", settings(image_hosts=("127.0.0.1",)))
    assert isinstance(caught.value, ImageAway) == passes


def test_a_file_of_label_studio_that_is_too_large_is_not_asked_for_again(
    web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGEST", 1_000_000)
    here = settings().model_copy(update={"studio_url": web, "studio_token": SecretStr("token")})
    monkeypatch.setattr(images, "_studio", lambda url, token: Studio(f"{web}/endless?", token, attempts=1))
    with pytest.raises(BadImage, match="more than 1 MB") as caught:
        fetch("/data/upload/1/c.png", here)
    assert not isinstance(caught.value, ImageAway)


def test_an_allowed_host_that_is_away_says_so() -> None:
    with pytest.raises(BadImage, match=r"127\.0\.0\.1 does not answer"):
        fetch("http://127.0.0.1:1/c.png", settings(image_hosts=("127.0.0.1",)))
