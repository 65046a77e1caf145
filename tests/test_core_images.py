"""Scans come in five formats, sideways, damaged, or far too large."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from cheques.images import BadImage, distance, fingerprint, open_image


def scan(format: str, size: tuple[int, int] = (64, 32), **options: object) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((4, 4, 20, 12), fill="black")
    written = io.BytesIO()
    image.save(written, format, **options)
    return written.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "PDF"])
def test_every_format_of_a_scanner_opens(format: str) -> None:
    image = open_image(scan(format))
    assert image.mode == "RGB" and image.width > image.height


def test_a_scan_marked_as_turned_is_turned_upright() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert open_image(scan("JPEG", exif=turned)).size == (32, 64)


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "not a PNG"),
        (b"GIF89a nothing", "not a PNG"),
        (scan("PNG")[:60], "damaged"),
        (b"%PDF-1.7 nothing", "damaged"),
    ],
)
def test_what_is_no_scan_says_so_in_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason) as refused:
        open_image(content)
    assert "\n" not in str(refused.value)


def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    header = scan("PNG")
    huge = header[:16] + (20_000).to_bytes(4, "big") * 2 + header[24:]
    with pytest.raises(BadImage):
        open_image(huge)
    with pytest.raises(BadImage, match="megapixels"):
        open_image(scan("JPEG", (8000, 5001)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"none\.png"):
        open_image(tmp_path / "none.png")


def test_a_fingerprint_survives_jpeg() -> None:
    image = open_image(scan("PNG", (640, 288)))
    again = open_image(scan("JPEG", (640, 288)))
    assert distance(fingerprint(image), fingerprint(again)) <= 4
