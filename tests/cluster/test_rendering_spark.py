"""A real Spark driver with the rendered settings: what it asks the API server for is a pod that the cluster admits.

Only the API server is scripted: it knows the driver's pod and notes what is created.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import kubernetes_validate
import pytest

from cluster.rendering import spark_job
from jobs.contracts.errors import SetupError
from spark_etl.engines import INSTALL_JAVA, check_java
from tests.cluster import rendered
from tests.cluster.test_rendering_schemas import VERSION
from tests.cluster.test_rendering_security import violations

ROOT = Path(__file__).parents[2]
POD = "flights-features-0123456789-abcde"
STEP = rendered.step("etl", resources={"workers": 2, "cpu": 0.5, "memory": "1Gi"})
PATIENCE = 90  # seconds; a JVM is up after five on an idle machine
DRIVER = "from spark_etl.engines import open_session\nwith open_session('spark', cores=2): pass"


def confs() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in rendered.config(rendered.objects(STEP))[spark_job.DEFAULTS].splitlines())


def test_the_driver_is_found_where_executors_look_for_it() -> None:
    _, _, service, body = rendered.objects(STEP)
    pod, found = body["spec"]["template"]["spec"], confs()
    assert found["spark.driver.host"] == f"{service['metadata']['name']}.seatrial.svc"
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": body["metadata"]["name"]}
    assert {str(port["port"]) for port in service["spec"]["ports"]} == {found["spark.driver.port"], found["spark.driver.blockManager.port"]}
    assert rendered.env(pod)["SPARK_CONF_DIR"] == "/seatrial/job"
    assert rendered.env(pod)[spark_job.POD_NAME] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert found["spark.kubernetes.executor.podTemplateFile"] == "/seatrial/job/executor.yaml"
    assert pod["serviceAccountName"] == "seatrial-spark"


def test_the_driver_tells_prometheus_of_its_executors() -> None:
    container = rendered.main(STEP)["spec"]["template"]["spec"]["containers"][0]
    assert container["ports"] == [{"name": "spark-ui", "containerPort": int(confs()["spark.ui.port"])}]
    assert confs()["spark.ui.prometheus.enabled"] == "true"
    assert confs()["spark.ui.killEnabled"] == "false", "it has no login"


def test_a_range_of_workers_is_dynamic_allocation() -> None:
    data = rendered.config(rendered.objects(rendered.step("etl", resources={"workers": {"min": 1, "max": 4}})))[spark_job.DEFAULTS]
    assert "spark.dynamicAllocation.minExecutors 1\n" in data
    assert "spark.dynamicAllocation.maxExecutors 4\n" in data
    assert "spark.executor.instances" not in data


def test_the_executors_that_spark_asks_for_are_admitted(tmp_path: Path) -> None:
    try:
        check_java()
    except SetupError as error:
        pytest.skip(f"{error.what}: {INSTALL_JAVA}")
    with api_server() as (address, created):
        configure(tmp_path, address)
        environment = os.environ | {"SPARK_CONF_DIR": str(tmp_path), spark_job.POD_NAME: POD, "PYTHONPATH": str(ROOT)}
        with (tmp_path / "log.txt").open("wb") as log:
            driver = subprocess.Popen([sys.executable, "-c", DRIVER], env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            end = time.monotonic() + PATIENCE
            while not created and driver.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            os.killpg(driver.pid, signal.SIGKILL)  # with its JVM, which would wait for executors
            driver.wait()
    assert created, (tmp_path / "log.txt").read_text()
    pod = created[0]
    kubernetes_validate.validate(pod, VERSION, strict=True)
    assert list(violations(pod["spec"])) == []
    assert pod["metadata"]["name"] == f"{POD}-exec-1"
    assert [owner["name"] for owner in pod["metadata"]["ownerReferences"]] == [POD]
    assert pod["metadata"]["labels"]["seatrial.dev/run"] == rendered.RUN
    (only,) = pod["spec"]["containers"]
    assert only["command"] == ["/opt/entrypoint.sh"]
    assert only["resources"] == {"requests": {"cpu": "500m", "memory": "1408Mi"}, "limits": {"cpu": "1", "memory": "1408Mi"}}
    assert {"/seatrial/code", "/seatrial/store"} <= {mount["mountPath"] for mount in only["volumeMounts"]}


def configure(folder: Path, address: str) -> None:
    """The rendered files, with the addresses of this machine instead of the cluster's."""
    files = rendered.config(rendered.objects(STEP))
    here = {"spark.master": f"k8s://{address}", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    here |= {name: "0" for name in confs() if name.lower().endswith("port")}
    here["spark.kubernetes.executor.podTemplateFile"] = str(folder / spark_job.TEMPLATE)
    (folder / spark_job.DEFAULTS).write_text("".join(f"{name} {value}\n" for name, value in (confs() | here).items()))
    (folder / spark_job.TEMPLATE).write_text(files[spark_job.TEMPLATE])


@contextmanager
def api_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    created: list[dict[str, Any]] = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            found = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
            if re.search(rf"/pods/{POD}$", self.path):
                found = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": POD, "namespace": "seatrial", "uid": "1"}}
            self.reply(found)

        def do_POST(self) -> None:
            created.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.reply(created[-1])

        def reply(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A killed client is no error."""

    server = Server(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", created
    finally:
        server.shutdown()
        server.server_close()
