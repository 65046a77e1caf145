"""Draws the first page of a PDF in a process of its own: a page is a program, and may want all memory or never end.

Run by `cheques.images`: the PDF on standard input, dots per inch and the most pixels as arguments, a PPM out.
"""

from __future__ import annotations

import contextlib
import math
import resource
import sys

MEMORY = 2 << 30  # bytes
SECONDS = 20  # of processor time
TOO_LARGE = 3  # exit status


def main() -> None:
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with contextlib.suppress(OSError, ValueError):  # macOS knows no limit of addresses
            resource.setrlimit(kind, (most, most))
    import pypdfium2

    scale, pixels = float(sys.argv[1]) / 72, float(sys.argv[2])
    page = pypdfium2.PdfDocument(sys.stdin.buffer.read())[0]
    width, height = (max(1, math.ceil(side * scale)) for side in page.get_size())
    if width * height > pixels:
        sys.exit(TOO_LARGE)
    page.render(scale=scale).to_pil().convert("RGB").save(sys.stdout.buffer, "PPM")


if __name__ == "__main__":
    main()
