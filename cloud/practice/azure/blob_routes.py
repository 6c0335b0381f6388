"""The Blob service's REST interface, as far as azure-storage-blob needs it: blobs, blocks, metadata, ranges, listings.

Signatures are not checked, only that there is one or a token: the account has no key that could be stolen.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from cloud.practice.azure.blobs import BlobError, Blobs, Facts

VERSION = "2025-05-05"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PAGE = 5000  # names in one listing, the service's own limit
_CHUNK = 1 << 20
_META = "x-ms-meta-"


class BlobService:
    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def handle(self, request: Request, container: str, name: str) -> Response:
        try:
            if "authorization" not in request.headers and "sig" not in request.query_params:
                raise BlobError(
                    401,
                    "NoAuthenticationInformation",
                    "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
                )
            body = await request.body() if request.method == "PUT" else b""
            response = await run_in_threadpool(self._answer, request, container, name, body)
        except BlobError as error:
            response = _error(error)
        response.headers["x-ms-version"] = VERSION
        return response

    def _answer(self, request: Request, container: str, name: str, body: bytes) -> Response:  # noqa: PLR0911 # one line a route
        what = request.query_params.get("comp", "")
        match request.method, what, bool(name):
            case "GET", "list", False:
                return self._list(request, container)
            case "GET" | "HEAD", "", False:
                self._blobs.path(container, "")
                return Response(headers={"etag": '"0x0"', "last-modified": formatdate(usegmt=True)})
            case "PUT", "", False:
                self._blobs.create_container(container)
                return Response(status_code=201, headers={"etag": '"0x0"', "last-modified": formatdate(usegmt=True)})
            case "HEAD" | "GET", "", True:
                return self._read(request, container, name)
            case "PUT", "", True if request.headers.get("x-ms-blob-type", "") == "BlockBlob" and "x-ms-copy-source" not in request.headers:
                self._refuse_overwriting(request, container, name)
                self._blobs.write(container, name, body, _facts(request))
                return self._stored(container, name)
            case "PUT", "block", True:
                self._blobs.stage(container, name, request.query_params.get("blockid", ""), body)
                return Response(status_code=201, headers={"x-ms-request-server-encrypted": "true"})
            case "PUT", "blocklist", True:
                self._refuse_overwriting(request, container, name)
                self._blobs.commit(container, name, _blocks(body), _facts(request))
                return self._stored(container, name)
            case "PUT", "metadata" | "properties", True:
                self._describe(request, container, name, what)
                return self._stored(container, name, 200)
            case "DELETE", "", True:
                self._blobs.delete(container, name)
                return Response(status_code=202)
        raise BlobError(501, "NotImplemented", f"The practice blob store does not implement {request.method} with comp={what!r}.")

    def _refuse_overwriting(self, request: Request, container: str, name: str) -> None:
        if request.headers.get("if-none-match") == "*" and self._blobs.path(container, name).is_file():
            raise BlobError(409, "BlobAlreadyExists", "The specified blob already exists.")

    def _describe(self, request: Request, container: str, name: str, what: str) -> None:
        self._blobs.find(container, name)
        old, new = self._blobs.facts(container, name), _facts(request)
        facts = Facts(old.content_type, old.content_md5, new.metadata) if what == "metadata" else Facts(new.content_type, new.content_md5, old.metadata)
        self._blobs.describe(container, name, facts)

    def _stored(self, container: str, name: str, status: int = 201) -> Response:
        headers = {**_headers(self._blobs.find(container, name)), "x-ms-request-server-encrypted": "true"}
        return Response(status_code=status, headers=headers)

    def _read(self, request: Request, container: str, name: str) -> Response:
        path, facts = self._blobs.find(container, name), self._blobs.facts(container, name)
        size = path.stat().st_size
        headers = {**_headers(path), "x-ms-blob-type": "BlockBlob", "accept-ranges": "bytes", "x-ms-server-encrypted": "true"}
        headers |= {f"{_META}{key}": value for key, value in facts.metadata.items()}
        headers |= {"content-md5": facts.content_md5} if facts.content_md5 else {}
        if request.method == "HEAD":
            return Response(headers={**headers, "content-length": str(size)}, media_type=facts.content_type)
        asked = _RANGE.fullmatch(request.headers.get("x-ms-range") or request.headers.get("range", ""))
        if not asked:
            return FileResponse(path, headers=headers, media_type=facts.content_type) if size else Response(headers=headers, media_type=facts.content_type)
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        if first >= size:
            raise BlobError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
        headers.pop("content-md5", None)
        headers |= {"content-range": f"bytes {first}-{last}/{size}", "content-length": str(last - first + 1)}
        return StreamingResponse(_piece(path, first, last), 206, headers, facts.content_type)

    def _list(self, request: Request, container: str) -> Response:
        query = request.query_params
        prefix, delimiter, marker = query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", "")
        limit = min(int(query.get("maxresults") or _PAGE), _PAGE)
        rows, folders, following = list[str](), set[str](), ""
        for name, status in self._blobs.list(container, prefix):
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            entry = f"{prefix}{head}{found}" if found else name
            if entry < marker or entry in folders:
                continue
            if len(rows) == limit:
                following = entry
                break
            if found:
                folders.add(entry)
                rows.append(f"<BlobPrefix><Name>{escape(entry)}</Name></BlobPrefix>")
            else:
                rows.append(_row(name, status, self._blobs.facts(container, name)))
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{escape(container)}"><Prefix>{escape(prefix)}</Prefix>'
            f"<Blobs>{''.join(rows)}</Blobs><NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
        )
        return Response(text, media_type="application/xml")


def _row(name: str, status: os.stat_result, facts: Facts) -> str:
    metadata = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in facts.metadata.items())
    changed = f"<Last-Modified>{formatdate(status.st_mtime, usegmt=True)}</Last-Modified><Etag>{_etag(status.st_mtime_ns)}</Etag>"
    content = f"<Content-Length>{status.st_size}</Content-Length><Content-Type>{escape(facts.content_type)}</Content-Type>"
    return f"<Blob><Name>{escape(name)}</Name><Properties>{changed}{content}<BlobType>BlockBlob</BlobType></Properties><Metadata>{metadata}</Metadata></Blob>"


def _facts(request: Request) -> Facts:
    headers = request.headers
    metadata = {key[len(_META) :]: value for key, value in headers.items() if key.startswith(_META)}
    return Facts(headers.get("x-ms-blob-content-type") or "application/octet-stream", headers.get("x-ms-blob-content-md5", ""), metadata)


def _blocks(body: bytes) -> list[str]:
    try:
        blocks = [each.text or "" for each in ElementTree.fromstring(body)]  # noqa: S314 # on loopback, from the user's own client
        for each in blocks:
            base64.b64decode(each, validate=True)
    except (ElementTree.ParseError, ValueError) as error:
        raise BlobError(400, "InvalidXmlDocument", "XML specified is not syntactically valid.") from error
    return blocks


def _headers(path: Path) -> dict[str, str]:
    status = path.stat()
    return {"etag": _etag(status.st_mtime_ns), "last-modified": formatdate(status.st_mtime, usegmt=True)}


def _etag(time: int) -> str:
    return f'"0x{time:X}"'


def _piece(path: Path, first: int, last: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        left = last - first + 1
        while left and (content := file.read(min(left, _CHUNK))):
            left -= len(content)
            yield content


def _error(error: BlobError) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message></Error>'
    return Response(body, error.status, {"x-ms-error-code": error.code}, "application/xml")
