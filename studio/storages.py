"""A project's cloud storages: the names that their files have in Label Studio, and the hosts that serve these files."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

SCHEMES = ("s3", "gs", "azure-blob")
RESOLVED = re.compile(r"/(?:tasks|projects)/\d+/(?:resolve|presign)/?")  # the paths of Label Studio to stored files


def is_stored(url: str) -> bool:
    """Is it the name of a file in a cloud storage, such as s3://bucket/key?"""
    return url.partition("://")[0] in SCHEMES


def path_of(uri: str, project: int) -> str:
    """Where Label Studio serves, or redirects to, a stored file of the project."""
    # The older of two names of one page: releases before 1.19 have no other.
    return f"/projects/{project}/presign/?fileuri={base64.urlsafe_b64encode(uri.encode()).decode()}"


def uri_at(path: str) -> str:
    """The name of the stored file to which this path of Label Studio leads; empty where it leads to none.

    Label Studio sends tasks with either, so both must mean one file, which is read once.
    """
    parts = urlsplit(path)
    if not RESOLVED.fullmatch(parts.path):
        return ""
    named = parse_qs(parts.query).get("fileuri", [""])[0]
    if is_stored(named):
        return named
    try:
        decoded = base64.urlsafe_b64decode(named).decode()
    except ValueError:
        return ""
    return decoded if is_stored(decoded) else ""


def port_of(url: SplitResult) -> int | None:
    """The port of a URL, or the usual one of its scheme. Raises ValueError where it is no number."""
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def serves(storages: Iterable[Mapping[str, Any]], host: str, port: int | None) -> bool:
    """May a file of one of these storages (as the API sends them) lie at this host?

    A storage's own endpoint may have a private address.
    """
    try:
        # At link-local addresses clouds give their credentials to whoever asks.
        if ipaddress.ip_address(host).is_link_local:
            return False
    except ValueError:
        pass
    return any(re.fullmatch(hosts_of(storage), f"{host}:{port}") for storage in storages)


def hosts_of(storage: Mapping[str, Any]) -> str:
    """HOST:PORT of what the storage serves, as a pattern; the bucket may stand before the host."""
    bucket = rf"(?:{re.escape(str(storage.get('bucket') or ''))}\.)?"
    match storage.get("type"):
        case "s3" if storage.get("s3_endpoint"):
            try:
                endpoint = urlsplit(str(storage["s3_endpoint"]))
                host, port = endpoint.hostname or "", port_of(endpoint)
            except ValueError:
                return "(?!)"
            return rf"{bucket}{re.escape(host)}:{port}"
        case "s3":
            return rf"{bucket}s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?:443"
        case "gcs":
            return rf"{bucket}storage\.googleapis\.com:443"
        case "azure" | "azure_blob":
            return r"[a-z0-9]+\.blob\.core\.windows\.net:443"
    return "(?!)"  # nothing
