"""Files to and from a volume, through a real websocket and the very program that the staging pod runs."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from aiohttp import web

from cluster import kubernetes_backend, mounted_store, pod_side
from cluster.archive import pack
from cluster.kubernetes_backend import KubernetesBackend
from cluster.volume import in_pod
from jobs.contracts.errors import InputError, RequestError, RunError, SetupError, StorageError
from jobs.control.home import Home
from jobs.control.plan import Plan, Source, Upload
from jobs.control.spec import KubernetesTarget
from jobs.control.staging import source_of
from tests.cluster.conftest import open_again
from tests.cluster.jobs import JUDGE, plan
from tests.cluster.kube_server import KubeServer

CLAIM = "pvc://seatrial-data"
DIGEST = "a" * 64


@pytest.fixture
def raw(tmp_path: Path) -> Source:
    """Three tables: an empty one, one in a folder, and one of several pieces with a size that fills no block."""
    for name, content in {"empty.csv": b"", "deep/er/small.csv": b"a,b\n1,2\n", "large.csv": os.urandom(700_001)}.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return source_of(str(tmp_path / "raw"))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def staged(backend: KubernetesBackend, folder: Path, raw: Source) -> Plan:
    step_plan = plan(backend, folder, JUDGE, raw=raw)
    backend.stage(step_plan)
    return step_plan


def test_an_upload_arrives_whole_and_once(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, raw: Source, volume: Path, home: Home) -> None:
    staged(backend, tmp_path, raw)
    assert tree(volume / "inputs" / raw.fingerprint) == tree(Path(raw.uri))
    assert [path.name for path in (volume / "inputs").iterdir()] == [raw.fingerprint]
    staged(open_again(home), tmp_path, raw)
    assert [command[3] for command in server.commands] == ["exists", "receive", "exists"]


def test_a_plan_without_uploads_needs_no_pod(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    backend.stage(plan(backend, tmp_path, JUDGE))
    assert server.asked == []


def test_one_pod_serves_a_process_and_goes_with_it(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, raw: Source, home: Home) -> None:
    other = open_again(home)
    staged(other, tmp_path, raw)
    assert other.exists(f"{CLAIM}/inputs/{raw.fingerprint}")
    assert len(server.names("Pod")) == 1
    del other
    gc.collect()
    assert server.names("Pod") == []


def test_a_pod_whose_time_is_over_is_replaced(server: KubeServer, backend: KubernetesBackend) -> None:
    assert not backend.exists(f"{CLAIM}/nothing")
    first = server.names("Pod")[0]
    server.set_status("Pod", first, phase="Failed", reason="DeadlineExceeded")
    assert not backend.exists(f"{CLAIM}/nothing")
    assert len(set(server.names("Pod")) - {first}) == 1


def test_a_pod_that_cannot_start_says_why(server: KubeServer, backend: KubernetesBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    real = KubeServer._control

    def hopeless(self: KubeServer, request: object) -> None:
        real(self, request)
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "seatrial-ray:0.1.0"'}}
        for name in self.names("Pod"):
            self.set_status("Pod", name, phase="Pending", containerStatuses=[{"name": "staging", "ready": False, "state": waiting}])

    monkeypatch.setattr(KubeServer, "_control", hopeless)
    with pytest.raises(SetupError, match="ImagePullBackOff: Back-off pulling image"):
        backend.exists(f"{CLAIM}/nothing")


def test_a_pod_that_never_starts_is_waited_for_only_so_long(server: KubeServer, home: Home) -> None:
    server.staging_pods_start = False
    backend = KubernetesBackend(home, KubernetesTarget(pending_limit="1s"))
    with pytest.raises(SetupError, match="does not start"):
        backend.read(f"{CLAIM}/nothing")


def test_small_files_are_read(server: KubeServer, backend: KubernetesBackend, volume: Path) -> None:
    content = os.urandom(300_000)
    (volume / "file").write_bytes(content)
    assert backend.read(f"{CLAIM}/file") == content
    with pytest.raises(InputError, match="no such file"):
        backend.read(f"{CLAIM}/none")
    with pytest.raises(InputError, match="no such file"):
        backend.read(f"{CLAIM}/file/below")


def test_what_the_pod_says_of_a_failure_is_told(server: KubeServer, backend: KubernetesBackend, volume: Path) -> None:
    (volume / "folder").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        backend.read(f"{CLAIM}/folder")


def test_products_come_back(server: KubeServer, backend: KubernetesBackend, volume: Path, home: Home) -> None:
    product = volume / "runs" / "r" / "train" / "bundle"
    product.mkdir(parents=True)
    (product / "model.onnx").write_bytes(os.urandom(500_000))
    (product / "bundle.json").write_bytes(b"{}")
    uri = f"{CLAIM}/runs/r/train/bundle"
    assert tree(Path(backend.fetch(uri))) == tree(product)
    (product / "bundle.json").write_bytes(b'{"again": true}')
    found = Path(backend.fetch(uri))
    assert tree(found) == tree(product), "a run's product may have been made again"
    assert found.is_relative_to(home.root / "cache")
    assert Path(backend.fetch(f"{uri}/bundle.json")).read_bytes() == b'{"again": true}'
    with pytest.raises(InputError):
        backend.fetch(f"{CLAIM}/none")


def test_what_is_named_by_its_content_is_fetched_once(server: KubeServer, backend: KubernetesBackend, volume: Path) -> None:
    dataset = volume / "datasets" / "parcels" / DIGEST
    dataset.mkdir(parents=True)
    (dataset / "manifest.json").write_bytes(b"{}")
    first = backend.fetch(f"{CLAIM}/datasets/parcels/{DIGEST}")
    asked = len(server.asked)
    assert backend.fetch(f"{CLAIM}/datasets/parcels/{DIGEST}") == first
    assert len(server.asked) == asked


def test_other_locations_are_read_where_they_are(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"here")
    assert backend.read(str(tmp_path / "file")) == b"here"
    assert backend.fetch(str(tmp_path / "file")) == str(tmp_path / "file")
    assert backend.exists(str(tmp_path / "file"))
    assert server.asked == []


def test_a_file_that_shrinks_while_it_is_sent_leaves_nothing(
    server: KubeServer, backend: KubernetesBackend, tmp_path: Path, raw: Source, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def grown(self: Path, **options: bool) -> os.stat_result:
        found = real(self, **options)
        return os.stat_result([*found[:6], found.st_size + 1, *found[7:]]) if self.name == "large.csv" else found

    step_plan = plan(backend, tmp_path, JUDGE, raw=raw)
    monkeypatch.setattr(Path, "stat", grown)
    with pytest.raises(InputError, match="became shorter"):
        backend.stage(step_plan)
    monkeypatch.undo()
    assert not (volume / "inputs" / raw.fingerprint).exists()


def test_an_empty_connection_is_told_as_such(server: KubeServer, backend: KubernetesBackend) -> None:
    server.refusals.append(("/exec", 403, 'pods "x" is forbidden: cannot create resource "pods/exec"'))
    with pytest.raises(RequestError, match="403"):
        backend.read(f"{CLAIM}/file")


# The program in the pod, by itself


def in_the_pod(verb: str, path: Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", Path(pod_side.__file__).read_text(), verb, str(path)], input=data, capture_output=True, check=False)


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path, raw: Source) -> None:
    whole = b"".join(pack([(Path(raw.uri) / "large.csv", "large.csv")]))
    cut = in_the_pod("receive", tmp_path / "store" / "x", whole[: len(whole) // 2])
    assert cut.returncode not in (0, pod_side.ABSENT)
    assert list((tmp_path / "store").iterdir()) == []
    assert in_the_pod("receive", tmp_path / "store" / "x", whole).returncode == 0
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["x"]


def test_the_second_of_two_that_send_the_same_is_dropped(tmp_path: Path, raw: Source) -> None:
    first, second = (b"".join(pack([(Path(raw.uri) / name, "file")])) for name in ("large.csv", "deep/er/small.csv"))
    assert in_the_pod("receive", tmp_path / "x", first).returncode == 0
    assert in_the_pod("receive", tmp_path / "x", second).returncode == 0
    assert (tmp_path / "x" / "file").stat().st_size == 700_001


def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped"))
    assert in_the_pod("receive", tmp_path / "store" / "x", stream.getvalue()).returncode != 0
    assert not (tmp_path / "escaped").exists()


def test_the_program_is_short_enough_for_a_request_line() -> None:
    assert len(Path(pod_side.__file__).read_bytes()) < 2_000  # proxies before an API server allow about 8,000 characters, percent-encoded


def test_the_stream_is_a_tar_archive_of_whole_records(raw: Source) -> None:
    names = ["empty.csv", "deep/er/small.csv", "large.csv"]
    whole = b"".join(pack([(Path(raw.uri) / name, f"{'long/' * 40}{name}") for name in names]))
    assert len(whole) % tarfile.RECORDSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert [member.name for member in archive] == [f"{'long/' * 40}{name}" for name in names]


# Inside the cluster


def test_a_driver_in_the_cluster_uses_the_volume_that_it_mounts(home: Home, volume: Path, tmp_path: Path, raw: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_backend, "is_mounted_here", lambda context: context == "in-cluster")
    monkeypatch.setattr(mounted_store, "in_pod", lambda uri, store: in_pod(uri, store).replace("/seatrial/store", str(volume)))
    backend = KubernetesBackend(home, KubernetesTarget(context="in-cluster"))
    step_plan = staged(backend, tmp_path, raw)
    assert tree(volume / "inputs" / raw.fingerprint) == tree(Path(raw.uri))
    assert backend.read(f"{step_plan.uploads[0].target}/deep/er/small.csv") == b"a,b\n1,2\n"
    assert backend.fetch(step_plan.uploads[0].target) == str(volume / "inputs" / raw.fingerprint)
    assert not backend.exists(f"{CLAIM}/none")


def test_this_machine_mounts_nothing() -> None:
    assert not mounted_store.is_mounted_here("in-cluster")


@pytest.mark.parametrize(
    ("uri", "store", "expected"),
    [
        ("pvc://c/runs/r", "pvc://c", "/seatrial/store/runs/r"),
        ("pvc://c", "pvc://c/", "/seatrial/store"),
        ("pvc://c/team/runs/r/", "pvc://c/team", "/seatrial/store/runs/r"),
        ("s3://b/runs", "s3://b", "s3://b/runs"),
        ("/local", "pvc://c", "/local"),
    ],
)
def test_what_pods_call_a_location(uri: str, store: str, expected: str) -> None:
    assert in_pod(uri, store) == expected


@pytest.mark.parametrize("uri", ["pvc://other/runs", "pvc://c/teams/runs", "pvc://c/team/../secret"])
def test_what_pods_cannot_see(uri: str) -> None:
    with pytest.raises(RequestError, match="not in the target's store"):
        in_pod(uri, "pvc://c/team")


def test_a_broken_stream_is_no_success(server: KubeServer, backend: KubernetesBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server dies between the last byte and the verdict."""

    async def cut(self: KubeServer, raw: web.BaseRequest) -> web.StreamResponse:
        stream = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await stream.prepare(raw)
        assert raw.transport is not None
        raw.transport.abort()
        return stream

    monkeypatch.setattr(KubeServer, "_exec", cut)
    with pytest.raises(RunError):
        backend.read(f"{CLAIM}/file")
    with pytest.raises(RunError):
        backend._volume.bring(Upload(str(tmp_path), f"{CLAIM}/inputs/x", "x", 0))


def test_a_pod_that_ends_while_it_is_asked_is_replaced(server: KubeServer, backend: KubernetesBackend, volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = KubeServer._exec, []

    async def ends_once(self: KubeServer, raw: web.BaseRequest) -> web.StreamResponse:
        asked.append(raw.path)
        if len(asked) == 1:
            self.remove("Pod", raw.path.split("/")[-2])
        return await real(self, raw)

    (volume / "file").write_bytes(b"content")
    monkeypatch.setattr(KubeServer, "_exec", ends_once)
    assert backend.read(f"{CLAIM}/file") == b"content"
    assert len(set(asked)) == 2
