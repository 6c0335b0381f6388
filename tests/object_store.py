"""A real S3 server in this process (moto's), and a bucket in it that this process and its children reach."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs as arrow_fs

from jobs.contracts import storage

REGION = "eu-west-1"


@contextmanager
def bucket() -> Iterator[str]:
    """The URI of an empty bucket, ``s3://<name>``; the variables of every AWS tool lead to it until the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", "practice")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "practice")
            patch.setenv("AWS_DEFAULT_REGION", REGION)
            patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            arrow_fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", region=REGION, allow_bucket_creation=True).create_dir(name)
            yield f"s3://{name}"
    finally:
        server.stop()


def names(uri: str) -> list[str]:
    """Files below a location, or none."""
    return storage.list_files(uri) if storage.exists(uri) else []
