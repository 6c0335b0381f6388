"""The page for people: a form, the score and what moved it, and the service at work. Three files without a build step.

They hold nothing of the model, so they need no key: what the page shows it asks for, with the key that a person gives it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from serve.answers import HTML, Answer, Headers

if TYPE_CHECKING:
    from serve.routes import Asked

FILES = {"/": "index.html", "/docs": "index.html", "/page.js": "page.js", "/page.css": "page.css"}
_KINDS = {".html": HTML, ".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}
_FOLDER = Path(__file__).with_name("page")
_OWN = (b"script-src", b"style-src", b"connect-src")
_NEVER = (b"default-src", b"base-uri", b"form-action", b"frame-ancestors")
_POLICY = b"; ".join([*(each + b" 'none'" for each in _NEVER), *(each + b" 'self'" for each in _OWN), b"img-src data:"])
_HEADERS: Headers = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)


def file(name: str, asked: Asked) -> Answer:
    return _read(name)


@cache
def _read(name: str) -> Answer:
    return Answer((_FOLDER / name).read_bytes(), kind=_KINDS[Path(name).suffix], headers=_HEADERS)
