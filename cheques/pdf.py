"""Draws one page of a PDF in a process of its own: a page is a program, and may want all memory or never end.

Run by `cheques.images`: the PDF on standard input; dots per inch, the most pixels and the page's number (from 1) as
arguments. A PPM comes out; for page 0 the number of pages instead.
"""

from __future__ import annotations

import contextlib
import math
import resource
import sys

MEMORY = 2 << 30  # bytes
SECONDS = 20  # of processor time
TOO_LARGE, NO_SUCH_PAGE = 3, 4  # exit status


def main() -> None:
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        with contextlib.suppress(OSError, ValueError):  # macOS knows no limit of addresses
            resource.setrlimit(kind, (most, most))
    import pypdfium2

    scale, pixels, number = float(sys.argv[1]) / 72, float(sys.argv[2]), int(sys.argv[3])
    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    if number == 0:
        print(len(document))
        return
    if number > len(document):
        sys.exit(NO_SUCH_PAGE)
    page = document[number - 1]
    width, height = (max(1, math.ceil(side * scale)) for side in page.get_size())
    if width * height > pixels:
        sys.exit(TOO_LARGE)
    page.render(scale=scale).to_pil().convert("RGB").save(sys.stdout.buffer, "PPM")


if __name__ == "__main__":
    main()
