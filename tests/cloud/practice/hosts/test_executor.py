"""The executor with real processes, with namespaces (where this machine has them) and without."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloud.practice.hosts import Ended, Executor, Host, HostGroup, Limits, Run, isolation
from cloud.practice.hosts.isolation import FALLBACK, NAMESPACES, Isolation, find, rewritten

Start = Callable[..., Run]


@pytest.fixture(params=[NAMESPACES, "user namespaces", FALLBACK])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Namespaces as root has them, as any user has them, and none."""
    prefixes = {NAMESPACES: isolation._UNSHARE, "user namespaces": (*isolation._UNSHARE, *isolation._AS_USER), FALLBACK: ()}
    prefix = prefixes[request.param]
    if prefix and not isolation._works(prefix):
        pytest.skip(f"no {request.param} here")
    executor = Executor(Isolation(NAMESPACES if prefix else FALLBACK, prefix))
    yield executor
    executor.close()


def group(executor: Executor, folder: Path, *scripts: str, limits: Limits | None = None, leader: str = "") -> HostGroup:
    """Hosts algo-1, algo-2, … that run a Python script each and see ``<folder>/<host>`` as ``/opt/ml``."""
    names = [f"algo-{number}" for number in range(1, len(scripts) + 1)]
    hosts = [
        Host(
            name=name,
            address=address,
            command=(sys.executable, "-u", "-c", script),
            environment={"PATH": os.environ["PATH"], "ML": "/opt/ml", "WHO": name},
            folder=folder / name,
            mounts={"/opt/ml": folder / name / "ml"},
            log=folder / f"{name}.log",
        )
        for name, address, script in zip(names, executor.addresses(len(names)), scripts, strict=True)
    ]
    for host in hosts:
        host.mounts["/opt/ml"].mkdir(parents=True)
    return HostGroup("job", tuple(hosts), limits or Limits(), leader)


def ended(run: Run, seconds: float = 20) -> Ended:
    end = run.wait(seconds)
    assert end is not None, "the group goes on"
    return end


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "did not happen in time"
        time.sleep(0.02)


def test_each_host_has_its_own_ml_folder_and_its_lines_arrive_and_are_kept(executor: Executor, tmp_path: Path) -> None:
    script = "import os; open(os.environ['ML'] + '/out', 'w').write(os.environ['WHO']); print('I am', os.environ['WHO'])"
    seen: list[tuple[str, str]] = []
    end = ended(executor.start(group(executor, tmp_path, script, script), lambda host, line: seen.append((host, line))))
    assert end == Ended({"algo-1": 0, "algo-2": 0}, "exited")
    assert end.succeeded
    assert sorted(seen) == [("algo-1", "I am algo-1"), ("algo-2", "I am algo-2")]
    assert [(tmp_path / name / "ml/out").read_text() for name in ("algo-1", "algo-2")] == ["algo-1", "algo-2"]
    assert (tmp_path / "algo-2.log").read_text() == "I am algo-2\n"
    assert not executor.running


def test_a_failed_host_ends_the_others_and_keeps_its_code(executor: Executor, tmp_path: Path) -> None:
    end = ended(executor.start(group(executor, tmp_path, "import time; time.sleep(60)", "raise SystemExit(3)")))
    assert (end.failed_host, end.codes["algo-2"], end.reason) == ("algo-2", 3, "exited")
    assert end.codes["algo-1"] == 128 + 15
    assert not end.succeeded


def test_a_leader_that_is_done_ends_the_others_and_all_is_well(executor: Executor, tmp_path: Path) -> None:
    end = ended(executor.start(group(executor, tmp_path, "pass", "import time; time.sleep(60)", leader="algo-1")))
    assert end.succeeded


CLEAN = "import signal, sys, time; signal.signal(15, lambda *_: (print('clean', flush=True), sys.exit(0))); print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_stop_gives_time_to_clean_up(executor: Executor, tmp_path: Path) -> None:
    lines: list[str] = []
    run = executor.start(group(executor, tmp_path, CLEAN), lambda host, line: lines.append(line))
    wait_for(lambda: "up" in lines)
    run.stop()
    assert ended(run) == Ended({"algo-1": 0}, "stopped")
    assert lines == ["up", "clean"]


def test_who_does_not_hear_is_killed_after_the_grace(executor: Executor, tmp_path: Path) -> None:
    lines: list[str] = []
    run = executor.start(group(executor, tmp_path, DEAF), lambda host, line: lines.append(line))
    wait_for(lambda: "up" in lines)
    run.stop(grace=0.3)
    assert ended(run, 5) == Ended({"algo-1": 137}, "stopped")


def test_the_time_limit_ends_the_group(executor: Executor, tmp_path: Path) -> None:
    run = executor.start(group(executor, tmp_path, "import time; time.sleep(60)", limits=Limits(seconds=0.5)))
    assert ended(run, 5).reason == "time"


def test_the_memory_limit_counts_children_and_kills(executor: Executor, tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytes(200 << 20) + bytes(1); import time; time.sleep(60)'])"
    run = executor.start(group(executor, tmp_path, child, limits=Limits(memory=120)))
    assert ended(run, 15).reason == "memory"


def test_cores_are_limited(executor: Executor, tmp_path: Path) -> None:
    lines: list[str] = []
    script = "import os; print(len(os.sched_getaffinity(0)))"
    assert ended(executor.start(group(executor, tmp_path, script, limits=Limits(cpu=1)), lambda host, line: lines.append(line))).succeeded
    assert lines == ["1"]


LEAVES = "import subprocess; subprocess.Popen(['sleep', '1234.5'], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"


def strays() -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "1234.5"]]


def test_nothing_a_host_left_behind_goes_on(executor: Executor, tmp_path: Path) -> None:
    assert ended(executor.start(group(executor, tmp_path, LEAVES))).succeeded
    assert strays() == []


def test_one_lost_host_is_the_failed_one(executor: Executor, tmp_path: Path) -> None:
    lines: list[str] = []
    run = executor.start(group(executor, tmp_path, CLEAN, CLEAN), lambda host, line: lines.append(line))
    wait_for(lambda: lines.count("up") == 2)
    run.kill("algo-2")
    end = ended(run)
    assert (end.failed_host, end.codes) == ("algo-2", {"algo-1": 0, "algo-2": 137})


def test_a_missing_program_is_said_in_the_log(executor: Executor, tmp_path: Path) -> None:
    host = Host("algo-1", "127.0.1.1", ("train",), {"PATH": "/nowhere"}, tmp_path / "h", log=tmp_path / "log")
    assert ended(executor.start(HostGroup("job", (host,)))).codes == {"algo-1": 127}
    assert (tmp_path / "log").read_text() == "exec: train: No such file or directory\n"


def test_hosts_die_with_the_service(tmp_path: Path) -> None:
    """A service that is killed on the spot cannot end its hosts; they notice by themselves."""
    program = f"""
import sys, time
from pathlib import Path
from cloud.practice.hosts import Executor, Host, HostGroup
host = Host("algo-1", "127.0.1.1", ("sleep", "4321.5"), {{"PATH": "/usr/bin:/bin"}}, Path({str(tmp_path)!r}))
Executor().start(HostGroup("job", (host,)))
print("up", flush=True)
time.sleep(60)
"""

    def hosts() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "4321.5"]]

    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()})
    try:
        assert service.stdout is not None
        assert service.stdout.readline() == b"up\n"
        wait_for(hosts)
    finally:
        service.kill()
        service.communicate()
    wait_for(lambda: not hosts())


@pytest.mark.skipif(find().name != NAMESPACES, reason="no namespaces here")
def test_namespaces_give_names_addresses_and_a_private_view(tmp_path: Path) -> None:
    server = """
import os, socket
assert socket.gethostname() == "algo-1", socket.gethostname()
assert os.environ["TMPDIR"] == "/var/tmp" and not os.listdir("/var/tmp")
with socket.create_server((socket.gethostbyname("algo-1"), 0)) as server:
    open("/opt/ml/port.tmp", "w").write(str(server.getsockname()[1])); os.rename("/opt/ml/port.tmp", "/opt/ml/shared/port")
    print("peer", server.accept()[1][0])
"""
    client = """
import os, socket, time
while not os.path.exists("/opt/ml/shared/port"): time.sleep(0.02)
address = (socket.gethostbyname("algo-1"), int(open("/opt/ml/shared/port").read()))
socket.create_connection(address, source_address=(socket.gethostbyname(socket.gethostname()), 0))
"""
    executor = Executor()
    described = group(executor, tmp_path, server, client)
    shared = tmp_path / "shared"
    shared.mkdir()
    for host in described.hosts:
        host.mounts["/opt/ml/shared"] = shared
    server_file = described.hosts[0].mounts["/opt/ml"]
    lines: list[str] = []
    script = server.replace('os.rename("/opt/ml/port.tmp"', 'import shutil; shutil.move("/opt/ml/port.tmp"')
    assert script != server
    first = described.hosts[0]
    hosts = (
        Host(first.name, first.address, (sys.executable, "-u", "-c", script), first.environment, first.folder, first.mounts, first.log),
        described.hosts[1],
    )
    end = ended(executor.start(HostGroup("job", hosts), lambda host, line: lines.append(line)))
    assert end.succeeded, lines
    assert lines == [f"peer {described.hosts[1].address}"]
    assert (shared / "port").exists()
    assert server_file.exists()


@pytest.mark.skipif(find().name != NAMESPACES, reason="no namespaces here")
def test_what_lay_beside_a_new_mount_point_is_still_there(tmp_path: Path) -> None:
    before = sorted(os.listdir("/opt"))
    script = "import os; print(sorted(set(os.listdir('/opt')) - {'ml'})); print(os.path.isdir('/var/lib'), os.path.isdir('/var/azureml-app/models'))"
    described = group(Executor(), tmp_path, script)
    models = tmp_path / "models"
    models.mkdir()
    described.hosts[0].mounts["/var/azureml-app/models"] = models
    lines: list[str] = []
    assert ended(Executor().start(described, lambda host, line: lines.append(line))).succeeded, lines
    assert lines == [str([name for name in before if name != "ml"]), "True True"]
    assert sorted(os.listdir("/opt")) == before
    assert not Path("/var/azureml-app").exists()


def test_without_namespaces_paths_are_rewritten(tmp_path: Path) -> None:
    mounts = {"/opt/ml": "/here/ml", "/opt/ml/model": "/there"}
    assert rewritten("cp /opt/ml/model/x /opt/ml/input --dir=/opt/ml", mounts) == "cp /there/x /here/ml/input --dir=/here/ml"
    assert rewritten("/opt/mlx /opt/ml-2", mounts) == "/opt/mlx /opt/ml-2"
    document = Isolation(FALLBACK, ()).document(group(Executor(), tmp_path, "pass").hosts[0], HostGroup("job", ()), [])
    assert document["environment"]["SEATRIAL_ML_ROOT"] == document["environment"]["ML"] == str(tmp_path / "algo-1/ml")
