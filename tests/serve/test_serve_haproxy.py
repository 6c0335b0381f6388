"""Ray's HAProxy configuration, as Ray itself writes it, after our change: nothing listens to strangers, and the busy are told so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.control import ingress
from serve import haproxy

pytestmark = pytest.mark.skipif(not ingress.wanted({}), reason="there is no HAProxy for this system")

WRITE = """
import sys
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions
folder = sys.argv[1]
options = HTTPOptions(host="127.0.0.1", port=int(sys.argv[2]))
config = HAProxyConfig(http_options=options, socket_path=f"{folder}/a.sock", server_state_base=folder, server_state_file=f"{folder}/state")
servers = [ServerConfig(name=f"replica-{n}", host="127.0.0.1", port=3000 + n) for n in (1, 2)]
fallback = ServerConfig(name="fallback", host="127.0.0.1", port=8500)
backend = BackendConfig(name="http-seatrial", path_prefix="/", app_name="seatrial", servers=servers, fallback_server=fallback)
api = HAProxyApi(cfg=config, backend_configs={"http-seatrial": backend}, config_file_path=f"{folder}/haproxy.cfg")
api._generate_config_file_internal()
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ha")
    environment = os.environ | ingress.flags({})
    done = subprocess.run([sys.executable, "-c", WRITE, str(folder), "18765"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "haproxy.cfg").read_text()


def rewritten(config: str, busy: str = "/busy.http") -> str:
    return haproxy.rewrite(config, busy, in_flight=32, queue_ms=25)


def test_only_loopback_is_listened_on(written: str) -> None:
    assert len(re.findall(r"^\s*bind (?:\*|:)", written, re.MULTILINE)) == 2  # what Ray opens: statistics, twice
    assert re.findall(r"^\s*bind (.*)", rewritten(written), re.MULTILINE) == ["127.0.0.1:18765"]
    assert "mode 600 level admin" in rewritten(written)
    assert "666" not in rewritten(written)


def test_replicas_get_so_many_requests_and_the_fallback_is_as_it_was(written: str) -> None:
    servers = re.findall(r"^ *server (.*)", rewritten(written), re.MULTILINE)
    assert [("maxconn 32" in each, "backup" in each) for each in servers] == [(True, False), (True, False), (False, True)]
    assert "timeout queue 25ms" in rewritten(written)
    assert rewritten(written).count("{ avg_queue(http-seatrial) ge 32 }") == 1


def test_the_busy_answer_is_503_with_retry_after(written: str) -> None:
    assert re.findall(r"errorfile (\d+) (\S+)", rewritten(written)) == [("502", "/busy.http"), ("503", "/busy.http"), ("504", "/busy.http")]
    head, _, body = haproxy.BUSY.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in head
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_configuration_that_is_not_known_is_refused(written: str) -> None:
    for strange in (
        "",
        written.replace("mode 666", "mode 777"),
        written.replace("bind 127.0.0.1:18765", "bind *:18765"),
        written.replace("listen stats", "listen more"),
    ):
        with pytest.raises(ValueError, match="not the one that is known"):
            rewritten(strange)
    assert rewritten(rewritten(written)) == rewritten(written)  # started again after a crash


def test_haproxy_itself_accepts_it(written: str, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(re.sub(r"\S*/a\.sock", str(tmp_path / "a.sock")[-90:], written))
    command = [sys.executable, "-m", "serve.haproxy", "-c", "-f", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "maxconn 32" in config.read_text()


@pytest.mark.parametrize(("chosen", "expected"), [("ray", False), ("haproxy", True), ("auto", True), ("", True)])
def test_the_proxy_can_be_chosen(chosen: str, expected: bool) -> None:
    given: dict[str, Any] = {ingress.VARIABLE: chosen}
    assert (ingress.wanted(given), bool(ingress.flags(given))) == (expected, expected)


def test_what_is_set_already_holds(tmp_path: Path) -> None:
    assert ingress.flags({"RAY_SERVE_HAPROXY_NBTHREAD": "4"})["RAY_SERVE_HAPROXY_NBTHREAD"] == "4"
    made = ingress.places(str(tmp_path), {})
    script = Path(made["RAY_SERVE_HAPROXY_BINARY_PATH"])
    assert (script.stat().st_mode & 0o777, script.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    done = subprocess.run([str(script), "-v"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("HAProxy version"), done.stderr
