"""Asking an MLflow server without MLflow: the same credentials as its own client, and what refusals mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from jobs.contracts.errors import SetupError, StorageError
from jobs.control.mlflow_client import open_client
from jobs.control.mlflow_http import ServerError, get_json
from jobs.control.registry_reader import list_versions, resolve_alias
from tests.http_server import Answer, FakeServer

CALL = "/api/2.0/mlflow/registered-models/alias"
GET = "/api/2.0/mlflow/registered-models/get"
VERSION = {"name": "m", "version": "3", "source": "mlflow-artifacts:/1/b", "creation_timestamp": 5000, "aliases": ["champion"], "status": "READY"}
FOUND = Answer(json.dumps({"model_version": VERSION}).encode())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without the developer's own ~/.mlflow."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"USERNAME": "ann", "PASSWORD": "pä:ss"},
        {"TOKEN": "t0ken"},
        {"USERNAME": "ann", "PASSWORD": "secret", "TOKEN": "t0ken"},
        {"USERNAME": "ann", "TOKEN": "t0ken"},
    ],
    ids=lambda settings: "+".join(settings) or "none",
)
@pytest.mark.parametrize("kept", [False, True], ids=["no-file", "file"])
def test_credentials_are_those_that_mlflows_client_sends(home: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], kept: bool) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    if kept:
        (home / ".mlflow").mkdir()
        (home / ".mlflow" / "credentials").write_text("[mlflow]\nmlflow_tracking_username = kim\nmlflow_tracking_password = kept\n")
    answer = Answer(json.dumps({"registered_model": {"name": "m"}}).encode(), headers={"content-type": "application/json"})
    with FakeServer({GET: answer}) as server:
        open_client(server.address).get_registered_model("m")
        get_json(server.address, GET, name="m")
    theirs, ours = (request.headers.get("authorization") for request in server.requests if request.path.startswith(GET))
    assert ours == theirs
    assert (ours is None) == (not settings and not kept)


def test_a_redirect_to_another_host_does_not_carry_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with FakeServer({GET: Answer(b"{}")}) as other, FakeServer({GET: Answer(b"", 302, headers={"location": other.address + GET})}) as server:
        get_json(server.address, GET)
    assert ["authorization" in request.headers for request in (*server.requests, *other.requests)] == [True, False]


def test_an_alias_is_one_request() -> None:
    with FakeServer({CALL: FOUND}) as server:
        version = resolve_alias(server.address, "m", "champion")
    assert version is not None
    assert (version.version, version.aliases, version.server, version.created) == ("3", ("champion",), server.address, 5.0)
    assert [request.path for request in server.requests] == [f"{CALL}?name=m&alias=champion"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b"<html>nginx</html>", 404), "is this the address of an MLflow server"),  # and not: there is no champion yet
        (Answer(b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "Model name is too long"}', 400), "Model name is too long"),
        (Answer(b"You are not authenticated", 401), "set MLFLOW_TRACKING_USERNAME"),
        (Answer(b"Invalid Host header - possible DNS rebinding attack detected", 403), "Invalid Host header"),
        (Answer(b"oops", 500), "oops"),
    ],
)
def test_a_refusal_is_not_an_empty_registry(answer: Answer, said: str) -> None:
    with FakeServer({CALL: answer}) as server, pytest.raises(ServerError) as refused:
        resolve_alias(server.address, "m", "champion")
    assert said in str(refused.value)
    assert f"answered {answer.status}" in str(refused.value)


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b'"text"', b""])
def test_an_answer_that_is_not_mlflows(body: bytes) -> None:
    with FakeServer({CALL: Answer(body)}) as server, pytest.raises(StorageError, match=r"not MLflow's|answers"):
        resolve_alias(server.address, "m", "champion")


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(SetupError) as refused:
        list_versions("http://ann:secret@127.0.0.1:9")
    assert "secret" not in str(refused.value)


def test_a_certificate_is_checked_against_the_given_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = _self_signed(tmp_path)
    with FakeServer({CALL: FOUND}, certificate=certificate) as server:
        with pytest.raises(StorageError, match="certificate"):
            resolve_alias(server.address, "m", "champion")
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
        assert resolve_alias(server.address, "m", "champion") is not None
        monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
        monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
        assert resolve_alias(server.address, "m", "champion") is not None
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "absent.pem"))
    with pytest.raises(SetupError, match="MLFLOW_TRACKING_SERVER_CERT_PATH"):
        list_versions("https://127.0.0.1:9")


def _self_signed(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file, valid for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path
