"""Jars for object stores: every one is checked, against a Maven repository of the test's own."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
JAR = "org/example/files/1.0/files-1.0.jar"
CONTENT = b"a jar" * 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    jar = tmp_path / "repository" / JAR
    jar.parent.mkdir(parents=True)
    jar.write_bytes(CONTENT)
    jar.with_suffix(".jar.sha1").write_text(hashlib.sha1(CONTENT).hexdigest() + "  files-1.0.jar\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "repository")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def download(tmp_path: Path, mirror: str, lines: str, cloud: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "list.txt").write_text(lines)
    (tmp_path / "jars").mkdir()
    script = [sys.executable, str(DOCKER / "hadoop_jars.py"), "--list", str(tmp_path / "list.txt"), "--target", str(tmp_path / "jars")]
    return subprocess.run([*script, "--mirror", mirror, "--cloud", cloud], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("checksum", [f"sha1:{hashlib.sha1(CONTENT).hexdigest()}", f"sha512:{hashlib.sha512(CONTENT).hexdigest()}", "published"])
def test_a_jar_with_the_right_checksum_arrives(tmp_path: Path, mirror: str, checksum: str) -> None:
    answer = download(tmp_path, mirror, f"# a comment\n\naws {checksum} {JAR}\n", "aws")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "jars/files-1.0.jar").read_bytes() == CONTENT


def test_a_jar_that_differs_ends_the_build_and_is_not_kept(tmp_path: Path, mirror: str) -> None:
    answer = download(tmp_path, mirror, f"aws sha1:{'0' * 40} {JAR}\n", "aws")
    assert answer.returncode == 1
    assert f"expected was {'0' * 40}" in answer.stderr
    assert not list((tmp_path / "jars").iterdir())


@pytest.mark.parametrize("cloud", ["", "azure"])
def test_only_what_was_asked_for_is_downloaded(tmp_path: Path, mirror: str, cloud: str) -> None:
    """A wrong checksum does not matter where the jar is not wanted."""
    answer = download(tmp_path, mirror, f"aws sha1:{'0' * 40} {JAR}\nazure published {JAR}\n", cloud)
    assert answer.returncode == 0, answer.stderr
    assert len(list((tmp_path / "jars").iterdir())) == (cloud == "azure")


def test_an_unknown_cloud_is_named(tmp_path: Path, mirror: str) -> None:
    answer = download(tmp_path, mirror, f"aws published {JAR}\n", "aws gcp")
    assert answer.returncode == 1
    assert "there are no jars for gcp" in answer.stderr


def test_a_jar_that_is_not_there_ends_the_build(tmp_path: Path, mirror: str) -> None:
    answer = download(tmp_path, mirror, "aws sha1:00 org/example/absent.jar\n", "aws")
    assert answer.returncode == 1
    assert "404" in answer.stderr


def test_the_list_matches_the_hadoop_inside_pyspark() -> None:
    spark = importlib.util.find_spec("pyspark")
    assert spark
    assert spark.origin
    inside = next((Path(spark.origin).parent / "jars").glob("hadoop-client-api-*.jar")).stem.removeprefix("hadoop-client-api-")
    lines = [line.split() for line in (DOCKER / "hadoop-jars.txt").read_text().splitlines() if line and not line.startswith("#")]
    of_hadoop = {cloud: path for cloud, _, path in lines if path.startswith("org/apache/hadoop/")}
    assert of_hadoop == {cloud: f"org/apache/hadoop/hadoop-{cloud}/{inside}/hadoop-{cloud}-{inside}.jar" for cloud in ("aws", "azure")}


def test_s3_addresses_mean_hadoops_s3_file_system() -> None:
    tree = ET.parse(DOCKER / "core-site.xml")
    assert {each.findtext("name"): each.findtext("value") for each in tree.iter("property")} == {"fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}
