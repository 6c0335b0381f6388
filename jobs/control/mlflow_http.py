"""Asks an MLflow server without importing MLflow, with the credentials and certificates that its own client would use.

MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD               basic authentication; else what ~/.mlflow/credentials says
MLFLOW_TRACKING_TOKEN                                            bearer token, where there is no such pair
MLFLOW_TRACKING_SERVER_CERT_PATH, MLFLOW_TRACKING_INSECURE_TLS   whom to trust, instead of the system's authorities
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Any

from jobs.contracts.errors import SetupError, StorageError

TIMEOUT = 10  # seconds without a byte
_CHUNK = 1 << 20  # bytes read at a time
_HINTS = {
    401: "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    403: "may this user read it, and does the server's --allowed-hosts name this address?",
    404: "is this the address of an MLflow server?",
}


class ServerError(StorageError):
    """The server answered, and refused."""

    status = 0
    code = ""  # MLflow's own, as RESOURCE_DOES_NOT_EXIST; empty when the answer was not MLflow's


def is_server(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def get_json(address: str, path: str, **query: str) -> dict[str, Any]:
    """Errors: ServerError when the server refuses, StorageError when it does not answer or says something else than JSON."""
    url = f"{address.rstrip('/')}{path}"
    text = b"".join(chunks(f"{url}?{urllib.parse.urlencode(query)}"))
    found = _object(text)
    if found is None:
        raise StorageError("the answer is not MLflow's", where=url, hint="is this the address of an MLflow server, and not of a proxy that wants a login?")
    return found


def send_json(address: str, path: str, body: dict[str, Any], *, method: str = "POST") -> None:
    """Errors: as :func:`get_json`."""
    request = urllib.request.Request(f"{address.rstrip('/')}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    for _ in _chunks(request, anonymous=False):
        pass


def chunks(url: str, *, anonymous: bool = False) -> Iterator[bytes]:
    """An answer's body, piece by piece. ``anonymous``: without credentials, because the URL is somebody else's word.

    Errors: as :func:`get_json`; a body that breaks off is a StorageError or ends early, so hash what you keep.
    """
    return _chunks(urllib.request.Request(url), anonymous=anonymous)


def _chunks(request: urllib.request.Request, *, anonymous: bool) -> Iterator[bytes]:
    url = request.full_url
    check_address(url)
    if not anonymous and (credentials := _credentials()):
        request.add_unredirected_header("Authorization", credentials)  # a redirect may lead to another host
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=_trust(url)) as answer:
            while piece := answer.read(_CHUNK):
                yield piece
    except urllib.error.HTTPError as error:
        raise _refusal(error, url) from error
    except (OSError, HTTPException) as error:
        where = urllib.parse.urlsplit(url)
        raise StorageError(f"the registry does not answer: {error}", where=f"{where.scheme}://{where.netloc}", hint="is the MLflow server running?") from error


def check_address(url: str) -> None:
    host = urllib.parse.urlsplit(url).netloc
    if "@" in host:  # it would end up in logs and listings
        raise SetupError("a registry's address may not carry credentials", where=host.rpartition("@")[2], hint=_HINTS[401])


def _refusal(error: urllib.error.HTTPError, url: str) -> ServerError:
    try:
        with error:
            text = error.read(2_000).decode(errors="replace")
    except (OSError, HTTPException):
        text = ""
    told = _object(text) or {"message": text.strip()[:200] if "<" not in text else ""}
    hint = _HINTS.get(error.code, "the server's log says more")
    refusal = ServerError(f"the registry answered {error.code}: {told.get('message') or error.reason}", where=url.partition("?")[0], hint=hint)
    refusal.status, refusal.code = error.code, str(told.get("error_code", ""))
    return refusal


def _object(text: str | bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _credentials() -> str:
    """The Authorization header, or nothing."""
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if not (user and password):
        kept = _kept()
        user, password = user or kept.get("mlflow_tracking_username"), password or kept.get("mlflow_tracking_password")
    if user and password:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else ""


def _kept() -> dict[str, str]:
    path = Path("~/.mlflow/credentials").expanduser()
    if not path.exists():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path)
    except configparser.Error as error:
        raise SetupError("this file cannot be read", where=str(path), hint="it needs a section [mlflow]") from error
    return dict(parser["mlflow"]) if "mlflow" in parser else {}


def _trust(url: str) -> ssl.SSLContext | None:
    if not url.startswith("https://"):
        return None
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    return _context(os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None, insecure)


@lru_cache(maxsize=4)
def _context(authorities: str | None, insecure: bool) -> ssl.SSLContext:
    """Kept, because reading the authorities takes longer than the request."""
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise SetupError(f"the certificate cannot be read: {error}", where=authorities or "", hint="check MLFLOW_TRACKING_SERVER_CERT_PATH") from error
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
