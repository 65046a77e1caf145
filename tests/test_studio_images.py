"""Which image URLs are fetched, from where, and what is said of the others."""

from __future__ import annotations

import base64
import io
import threading
import unicodedata
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
from PIL import Image
from pydantic import SecretStr

from cheques.images import BadImage
from cheques.settings import Settings
from studio import images
from studio.client import Studio
from studio.images import ImageAway, fetch_image


def png(size: tuple[int, int] = (6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, "PNG")
    return buffer.getvalue()


class Web(BaseHTTPRequestHandler):
    """Serves /c.png, redirects from /to/…, and streams for ever from /endless."""

    def do_GET(self) -> None:
        if self.path == "/c.png":
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
            self.send_error(int(self.path[1:]) if self.path[1:].isdigit() else 404)

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


def test_a_local_file_is_read_from_the_shared_root(tmp_path: Path) -> None:
    (tmp_path / "été").mkdir()
    (tmp_path / "été" / "c 1.png").write_bytes(png())
    for url in (
        "/data/local-files/?d=%C3%A9t%C3%A9/c%201.png",
        "http://studio.example/data/local-files/?d=été/c+1.png",
    ):
        assert fetch_image(url, settings(files_root=tmp_path)).size == (6, 4)


@pytest.mark.parametrize("name", ["c 1.png", "reçu n°5.png", "100%.png", "a+b.png", "a&b=c.png", "50%25.png"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_name_is_found_encoded_or_typed_by_hand(tmp_path: Path, name: str, form: Literal["NFC", "NFD"]) -> None:
    (tmp_path / unicodedata.normalize(form, "été")).mkdir()
    (tmp_path / unicodedata.normalize(form, "été") / unicodedata.normalize(form, name)).write_bytes(png())
    for written in (quote(f"été/{name}"), quote(unicodedata.normalize("NFD", f"été/{name}")), f"été/{name}"):
        assert fetch_image(f"/data/local-files/?d={written}", settings(files_root=tmp_path)).size == (6, 4)


def test_of_two_names_that_a_url_may_mean_the_one_label_studio_shows_is_read(tmp_path: Path) -> None:
    (tmp_path / "a+b.png").write_bytes(png())
    (tmp_path / "a b.png").write_bytes(png((9, 9)))
    assert fetch_image("/data/local-files/?d=a+b.png", settings(files_root=tmp_path)).size == (9, 9)


def test_the_page_of_the_settings_is_read(tmp_path: Path) -> None:
    pages = [Image.new("L", (20 + page, 10), "white") for page in range(2)]
    pages[0].save(tmp_path / "fax.tif", save_all=True, append_images=pages[1:])
    assert fetch_image("/data/local-files/?d=fax.tif", settings(files_root=tmp_path, page=2)).size == (21, 10)


@pytest.mark.parametrize("path", ["../secret.png", "/../secret.png", "%2e%2e/secret.png", "link.png"])
def test_nothing_outside_the_root_is_read(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadImage, match="leaves CHEQUEMATE_FILES_ROOT"):
        fetch_image(f"/data/local-files/?d={path}", settings(files_root=root))


def test_a_data_uri_is_an_image() -> None:
    assert fetch_image("data:image/png;base64," + base64.b64encode(png()).decode(), settings()).size == (6, 4)


def test_an_allowed_host_is_fetched_with_its_port_or_without(web: str) -> None:
    assert fetch_image(f"{web}/c.png", settings(image_hosts=("127.0.0.1",))).size == (6, 4)
    assert fetch_image(f"{web}/c.png", settings(image_hosts=(web.removeprefix("http://"),))).size == (6, 4)


def test_a_redirect_leads_to_allowed_hosts_only(web: str) -> None:
    here = settings(image_hosts=("127.0.0.1",))
    assert fetch_image(f"{web}/to//c.png", here).size == (6, 4)
    with pytest.raises(BadImage, match=r"host 10\.0\.0\.1 is not allowed"):
        fetch_image(f"{web}/to/http://10.0.0.1/c.png", here)
    with pytest.raises(BadImage, match="scheme 'file'"):
        fetch_image(f"{web}/to/file:///etc/passwd", here)


def test_a_download_ends_at_the_limit(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST", 1_000_000)
    with pytest.raises(BadImage, match="more than 1 MB"):
        fetch_image(f"{web}/endless", settings(image_hosts=("127.0.0.1",)))


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
        ("s3://bucket/c.png", "scheme 's3' is not fetched"),
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
        fetch_image(url, settings(files_root=tmp_path, image_hosts=("images.example",)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("status", "passes"), [(429, True), (503, True), (408, True), (404, False), (403, False)])
def test_a_host_that_is_busy_is_asked_again_later(web: str, status: int, passes: bool) -> None:
    with pytest.raises(BadImage, match=str(status)) as caught:
        fetch_image(f"{web}/{status}", settings(image_hosts=("127.0.0.1",)))
    assert isinstance(caught.value, ImageAway) == passes


def test_a_file_of_label_studio_that_is_too_large_is_not_asked_for_again(
    web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGEST", 1_000_000)
    here = settings().model_copy(update={"studio_url": web, "studio_token": SecretStr("token")})
    monkeypatch.setattr(images, "_studio", lambda url, token: Studio(f"{web}/endless?", token, attempts=1))
    with pytest.raises(BadImage, match="more than 1 MB") as caught:
        fetch_image("/data/upload/1/c.png", here)
    assert not isinstance(caught.value, ImageAway)


def test_an_allowed_host_that_is_away_says_so() -> None:
    with pytest.raises(BadImage, match=r"127\.0\.0\.1 does not answer"):
        fetch_image("http://127.0.0.1:1/c.png", settings(image_hosts=("127.0.0.1",)))
