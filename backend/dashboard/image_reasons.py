"""Why an image cannot be read, in the reader's language: the worker keeps its reason in English, as it was raised."""

from __future__ import annotations

import re

from backend.dashboard.i18n import say

# What cheques/images.py and studio/images.py raise, with names for what they fill in; cheques/network.py says why.
REASONS = (
    "%(image)s pixels is more than %(most)s megapixels: scan at 300 dpi or less",
    "%(image)s pixels is no cheque's shape: cut the scan",
    "32 bits a colour: save the scan with 8 bits a colour",
    "Label Studio has no such file: import it again, or add a storage for its folder",
    "a HEIC photo: install pillow-heif (the extra heic), or save it as JPEG",
    "a JPEG of %(passes)s passes takes minutes to decode: save it again",
    "a PDF that takes too long to draw: save its page as an image",
    "a TIFF in %(strips)s strips takes minutes to open: save it as PNG",
    "an empty file, not a PNG, JPEG, TIFF, WebP, HEIC or PDF: save the scan in one of these formats",
    "damaged or cut-off TIFF, or of a kind that is not understood: copy the file again, or save it as PNG",
    "damaged or cut-off image (%(error)s): copy the file again, or scan again",
    "damaged or protected PDF: save its page as an image",
    "data URI that is no base64: import the image again",
    "data URI without data, or with too much: import the image as a file",
    "file not read (%(error)s): check the task's path and CHEQUEMATE_FILES_ROOT",
    "has no page %(page)s: set CHEQUEMATE_PAGE to one that there is",
    "host %(host)s is not allowed: add it to CHEQUEMATE_IMAGE_HOSTS",
    "host %(host)s is not allowed: add it to CHEQUEMATE_IMAGE_HOSTS, or, if it is Label Studio as people open it, set "
    "CHEQUEMATE_STUDIO_PUBLIC_URL to its address",
    "image not fetched: %(error)s",
    "more than %(most)s MB: scan at 300 dpi or less",
    "more than %(most)s megapixels: scan at 300 dpi or less",
    "more than %(most)s redirects: import the image's final URL",
    "no such file under CHEQUEMATE_FILES_ROOT: put it there, or correct the task",
    "no token to fetch the image from Label Studio: set CHEQUEMATE_STUDIO_TOKEN",
    "not a PNG, JPEG, TIFF, WebP, HEIC or PDF: save the scan in one of these formats",
    "not a URL: import the task with a correct one",
    "not a file of Label Studio: expected /data/local-files/?d=… or /data/upload/…",
    "not downloaded in %(most)s s: bring the images nearer",
    "scheme %(scheme)s is not fetched: use http(s), a local file or an upload",
    "the page is more than %(most)s megapixels at %(dpi)s dpi: save it as a smaller image",
    "the path leaves CHEQUEMATE_FILES_ROOT: import the task with a path inside it",
    "the task has no image: import it with an image URL",
    "%(host)s answers %(status)s: check the image's URL",
    "%(host)s does not answer (%(error)s): try later",
    "Label Studio at %(url)s redirects: set CHEQUEMATE_STUDIO_URL to its final address",
    "Label Studio gets no file from %(bucket)s: check bucket, file and credentials in Label Studio, Settings > "
    "Cloud Storage",
    "Label Studio has no source storage for %(bucket)s in project %(project)s: add one in Settings > Cloud "
    "Storage, with this bucket",
    "host %(host)s is not allowed: add it to CHEQUEMATE_IMAGE_HOSTS, if it shall serve images: none of the "
    "project's source storages is there",
    "the storage at %(host)s answers %(status)s (%(code)s): check bucket, file and credentials in Label Studio, "
    "Settings > Cloud Storage",
    "%(host)s is not reached: %(why)s",
    "%(host)s is not reached: its certificate is for another name (%(said)s): correct the image's address, or "
    "have it renewed for this name",
    "%(host)s is not reached: its certificate does not hold today (%(said)s): have it renewed, or set this "
    "machine's clock",
    "%(host)s is not reached: its certificate is not trusted (%(said)s): set CHEQUEMATE_CA_BUNDLE to its CA's "
    "certificate (PEM)",
    "%(host)s is not reached: it speaks no TLS (%(said)s): correct the image's address, http:// or https://",
    "%(host)s is not reached: the proxy does not answer: correct HTTP_PROXY and HTTPS_PROXY, or name the host in "
    "NO_PROXY",
    "%(host)s is not reached: the proxy asks for a password (407): put it into HTTP_PROXY and HTTPS_PROXY, "
    "http://USER:PASSWORD@HOST:PORT",
)
PATTERNS = {one: re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(one))) for one in REASONS}


def reason_of_image(line: str) -> str:
    """The line in the reader's language, where it is one that is known."""
    found = [(reason, match) for reason, pattern in PATTERNS.items() if (match := pattern.fullmatch(line))]
    if not found:
        return line
    reason, match = max(found, key=lambda one: len(one[0]))  # the one that leaves least to be filled in
    return say(reason, **match.groupdict())
