"""How this process goes on the network: what it trusts, what never passes a proxy, and why a connection failed."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from urllib.request import getproxies, getproxies_environment

import certifi

from cheques.disk import replace_file

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
NOT_TODAY = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
PROXY_ASKS = (
    "the proxy asks for a password (407): put it into HTTP_PROXY and HTTPS_PROXY, http://USER:PASSWORD@HOST:PORT"
)


def prepare(own_hosts: Iterable[str], ca_bundle: Path | None, home: Path) -> None:
    """Set the environment of this process and its children: the one thing that all of their clients read.

    own_hosts: asked directly whatever HTTP_PROXY says, as loopback is: requests to them carry passwords and paths of
    images. ca_bundle: certificates to trust beside the public ones; all of them are written to `trusted.pem` in
    `home`, for requests knows one file only. Raises OSError where that cannot be written.
    """
    if not getproxies_environment():
        # On macOS the system's proxies count only as long as the environment says nothing of proxies.
        os.environ.update({f"{scheme}_proxy": proxy for scheme, proxy in getproxies().items()})
    # Both spellings, here and below: some clients read one of them, some the other.
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    direct = dict.fromkeys([*(name.strip() for name in named.split(",") if name.strip()), *LOOPBACK, *own_hosts])
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(direct)
    if ca_bundle is not None:
        trusted = home / "trusted.pem"
        both = (Path(certifi.where()), ca_bundle)
        replace_file(trusted, "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in both))
        # The first is for requests, the second for httpx and for Redis over TLS.
        os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = str(trusted)


def why(error: BaseException, address: str) -> str:
    """What TLS or a proxy has against a connection, and what to do; nothing where it is neither of them.

    address: the setting that holds the address. Never repeats a URL: it may hold a password or a signature.
    """
    proxy = ""
    # Each library wraps the error of the one below: requests that of urllib3, and that of ssl.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = cause.verify_message.rstrip(".")
            if cause.verify_code in OTHER_NAME:
                return (
                    f"its certificate is for another name ({said}): correct {address}, or have it renewed for this name"
                )
            if cause.verify_code in NOT_TODAY:
                return f"its certificate does not hold today ({said}): have it renewed, or set this machine's clock"
            return f"its certificate is not trusted ({said}): set CHEQUEMATE_CA_BUNDLE to its CA's certificate (PEM)"
        if isinstance(cause, ssl.SSLError):
            said = (cause.reason or "broken off").replace("_", " ").lower()
            return f"it speaks no TLS ({said}): correct {address}, http:// or https://"
        # By name, so that neither requests nor httpx is imported here.
        if type(cause).__name__ == "ProxyError":  # of requests, of httpx
            proxy = "the proxy does not answer: correct HTTP_PROXY and HTTPS_PROXY, or name the host in NO_PROXY"
        if proxy and " 407 " in str(cause):
            return PROXY_ASKS
        cause = cause.__cause__ or cause.__context__
    return proxy
