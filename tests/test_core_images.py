"""Scans come in five formats, sideways, damaged, or far too large."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cheques.images import BadImage, distance, fingerprint, open_image, pages_in, shown_by_browsers


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
        open_image(scan("JPEG", (16_000, 12_000)))
    with pytest.raises(BadImage, match="more than 100 megapixels"):
        open_image(png(Image.new("1", (11_000, 10_000))))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_the_photo_of_a_phone_of_48_megapixels_is_scaled_down(format: str) -> None:
    photo = Image.new("L", (8000, 6000), "white")
    photo.paste(0, (0, 0, 2000, 1500))
    opened = open_image(png(photo, format))
    assert opened.size == (4000, 3000)
    assert opened.getpixel((500, 500)) == (0, 0, 0) and opened.getpixel((3000, 2000)) == (255, 255, 255)


def test_a_jpeg_of_a_thousand_passes_is_refused_before_it_is_decoded() -> None:
    written = png(Image.new("L", (3000, 2000), 200), "JPEG", progressive=True)
    last = written.rfind(b"\xff\xda")
    with pytest.raises(BadImage, match=r"a JPEG of \d+ passes"):
        open_image(written[:-2] + written[last:-2] * 1000 + b"\xff\xd9")


def test_a_tiff_of_a_million_strips_is_refused_before_its_table_is_read() -> None:
    count, table = 1_000_000, 8 + 2 + 12 + 4
    entry = struct.pack("<HHII", 273, 4, count, table)
    content = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + bytes(4 * count)
    with pytest.raises(BadImage, match="a TIFF in 1000000 strips"):
        open_image(content)


TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_way_in_which_exif_turns_is_undone(format: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste((0, 0, 0), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    about = {"tiffinfo": {0x0112: orientation}} if format == "TIFF" else {"exif": exif}
    opened = open_image(png(upright.transpose(TURNED[orientation]), format, **about))
    assert opened.size == (64, 32)
    assert np.asarray(opened)[4, 8].max() < 60 and np.asarray(opened)[28, 56].min() > 200


def test_a_fax_is_black_on_white_and_as_high_as_the_paper() -> None:
    paper = np.ones((50, 200), bool)
    paper[:25, :100] = False
    fax = Image.fromarray(paper)
    one_is_white = png(fax, "TIFF", compression="group4", dpi=(204, 98))
    zero_is_white = png(Image.fromarray(~paper), "TIFF", compression="group4", dpi=(204, 98))
    tag = struct.pack("<HHI", 262, 3, 1)
    zero_is_white = zero_is_white.replace(tag + b"\x01", tag + b"\x00")
    for content in (one_is_white, zero_is_white):
        opened = open_image(content)
        assert opened.size == (200, 104)
        assert opened.getpixel((20, 20)) == (0, 0, 0) and opened.getpixel((150, 90)) == (255, 255, 255)
    assert open_image(png(fax, "TIFF", compression="group4", dpi=(200, 200))).size == (200, 50)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_the_four_inks_of_a_printer_become_three_colours(format: str) -> None:
    white, black = Image.new("CMYK", (8, 8)), Image.new("CMYK", (8, 8), (0, 0, 0, 255))
    assert open_image(png(white, format)).getpixel((4, 4)) == (255, 255, 255)
    assert max(open_image(png(black, format)).getpixel((4, 4))) < 5  # type: ignore[arg-type]


def test_grey_of_twelve_bits_is_as_bright_as_grey_of_sixteen() -> None:
    levels = np.array([[0, 1000, 2000, 4095]], np.uint16)
    for content in (png(Image.fromarray(levels), "TIFF"), png(Image.fromarray(levels), "PNG")):
        assert np.asarray(open_image(content))[0, :, 0].tolist() == [0, 1000 >> 4, 2000 >> 4, 255]
    inverted = png(Image.fromarray(4095 - levels), "TIFF", tiffinfo={262: 0})  # 0 is white
    assert np.asarray(open_image(inverted))[0, :, 0].tolist() == [0, 1000 >> 4, 2000 >> 4, 255]


def test_one_page_of_several_is_read() -> None:
    pages = [Image.new("L", (20 + page, 10), "white") for page in range(3)]
    for format in ("TIFF", "PDF"):
        content = png(pages[0], format, save_all=True, append_images=pages[1:])
        assert pages_in(content) == 3
        assert open_image(content, 3).width > open_image(content).width
        with pytest.raises(BadImage, match="has no page 4: set CHEQUEMATE_PAGE"):
            open_image(content, 4)
    assert pages_in(scan("PNG")) == 1
    assert open_image(scan("PNG"), 2).size == (64, 32)  # what has no pages is the image


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_a_file_that_is_cut_off_has_one_reason(format: str) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif")
    content = png(Image.effect_noise((90, 60), 40).convert("RGB"), format)
    for part in (0.2, 0.5, 0.9):
        with pytest.raises(BadImage, match=r"damaged or cut-off .*: copy the file again"):
            open_image(content[: int(len(content) * part)])


def test_a_heic_photo_opens_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_heif")
    photo = scan("HEIF")
    assert open_image(photo).size == (64, 32)
    assert not shown_by_browsers(photo)
    monkeypatch.setattr("cheques.images.FORMATS", ["PNG", "JPEG", "TIFF", "WEBP"])
    with pytest.raises(BadImage, match="install pillow-heif"):
        open_image(photo)


@pytest.mark.parametrize(
    "format, shown", [("PNG", True), ("JPEG", True), ("WEBP", True), ("TIFF", False), ("PDF", False)]
)
def test_what_browsers_show_is_known(format: str, shown: bool) -> None:
    assert shown_by_browsers(scan(format)) == shown


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"none\.png"):
        open_image(tmp_path / "none.png")


def test_a_fingerprint_survives_jpeg() -> None:
    image = open_image(scan("PNG", (640, 288)))
    again = open_image(scan("JPEG", (640, 288)))
    assert distance(fingerprint(image), fingerprint(again)) <= 4


def png(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, format, **options)
    return written.getvalue()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_of_sixteen_bits_keeps_its_shades(format: str) -> None:
    levels = np.array([[0, 20_000, 40_000, 65_535]], np.uint16)
    opened = open_image(png(Image.fromarray(levels), format))
    assert np.asarray(opened)[0, :, 0].tolist() == [0, 20_000 >> 8, 40_000 >> 8, 255]


@pytest.mark.parametrize(
    "content",
    [
        png(Image.new("RGBA", (4, 4), (0, 0, 0, 0))),
        png(Image.new("LA", (4, 4), (0, 0))),
        png(Image.new("P", (4, 4), 0), transparency=0),
        png(Image.new("L", (4, 4), 0), transparency=0),
        png(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "WEBP", lossless=True),
    ],
    ids=["RGBA", "LA", "P", "L", "WebP"],
)
def test_what_is_transparent_is_white(content: bytes) -> None:
    assert open_image(content).getcolors() == [(16, (255, 255, 255))]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_colours_of_32_bits_are_refused_with_the_remedy(mode: str) -> None:
    with pytest.raises(BadImage, match="8 bits a colour"):
        open_image(png(Image.new(mode, (4, 4)), "TIFF"))


def pdf(*objects: bytes) -> bytes:
    """A PDF of these objects, the first of which is its catalogue."""
    body, starts = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        starts.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(body))
    return body + head + table + end


def one_page(*more: bytes, box: bytes = b"0 0 600 300", about: bytes = b"") -> bytes:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[%s]%s>>" % (box, about)
    return pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, *more)


@pytest.mark.parametrize("box", [b"0 0 300000000 .01", b"0 0 1000000000 .01", b"0 0 9999999 9999999"])
def test_a_page_of_any_shape_takes_no_more_memory_than_an_image_may(box: bytes) -> None:
    with pytest.raises(BadImage, match="megapixels") as refused:
        open_image(one_page(box=box))
    assert "\n" not in str(refused.value)


def test_a_page_that_draws_itself_for_hours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten levels of forms, each of which draws the next ten times."""
    monkeypatch.setattr("cheques.images.PDF_SECONDS", 1.0)

    def stream(about: bytes, content: bytes) -> bytes:
        return b"<<%s/Length %d>>stream\n%s\nendstream" % (about, len(content), content)

    def form(last: bool, following: int) -> bytes:
        inner = b"" if last else b"/Resources<</XObject<</F %d 0 R>>>>" % following
        return stream(b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]" + inner, b"0 0 9 9 re f" if last else b"/F Do " * 10)

    levels = [form(level == 9, level + 6) for level in range(10)]
    page = b"/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>"
    with pytest.raises(BadImage, match="too long"):
        open_image(one_page(stream(b"", b"/F Do " * 10), *levels, about=page))


def test_a_huge_image_puts_no_warning_on_the_terminal(tmp_path: Path) -> None:
    header = scan("PNG")
    about = b"IHDR" + (11_000).to_bytes(4, "big") * 2 + header[24:29]
    (tmp_path / "huge.png").write_bytes(header[:12] + about + zlib.crc32(about).to_bytes(4, "big") + header[33:])
    code = (
        "import sys\nfrom pathlib import Path\nfrom cheques.images import BadImage, open_image\n"
        "try:\n    open_image(Path(sys.argv[1]))\nexcept BadImage as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code, tmp_path / "huge.png"], capture_output=True, text=True)
    assert "11000 x 11000 pixels" in told.stdout and told.stderr == ""
