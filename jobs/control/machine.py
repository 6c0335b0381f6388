"""What this machine has and lacks. Each check only looks: it imports no engine, starts no process and writes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_GIB = 2**30
_MEMORY_LOW = 4 * _GIB
_SHARED_LOW = _GIB // 4  # a plain container has 64 MiB, and Ray keeps its objects there
_JAVA = 17  # the release that Spark 4 is tested with

SERVICE, RAY_DASHBOARD = 8000, 8265  # ports

# Extra -> its modules, the engine first.
EXTRAS = {
    "etl": ("pyspark", "pysail", "pandas", "zstandard"),
    "train": ("torch", "ray", "optuna", "onnx", "onnxscript", "safetensors", "numpy"),
    "scoring": ("onnxruntime", "numpy"),
    "serve": ("ray", "starlette", "uvicorn", "msgspec", "httpx"),
    "registry": ("mlflow",),
    "report": ("matplotlib", "jinja2"),
    "kubernetes": ("kubernetes",),
    "sagemaker": ("boto3",),
    "azureml": ("azure.ai.ml", "azure.identity"),
    "practice": ("moto", "cryptography", "starlette", "uvicorn", "httpx"),
}
ELSEWHERE = ("kubernetes", "sagemaker", "azureml", "practice")  # for other targets than this machine
TOOLS = ("kubectl", "helm", "kind", "minikube", "docker")
VARIABLES = ("SEATRIAL_HOME", "MLFLOW_TRACKING_URI", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "KUBECONFIG", "JAVA_HOME")


@dataclass(frozen=True)
class Check:
    name: str
    status: str  # ok | info | warn | fail
    text: str
    hint: str = ""

    @property
    def passed(self) -> bool | None:
        """As in check50: True, False, or None for what is only worth knowing."""
        return {"ok": True, "fail": False}.get(self.status)


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    text = ".".join(map(str, version))
    if (3, 11) <= version[:2] <= (3, 13):
        return Check("python", "ok", f"Python {text} on {platform.system()} {platform.machine()}")
    return Check("python", "fail", f"Python {text} is not supported", "make the environment with Python 3.11, 3.12 or 3.13: PYTHON=python3.12 make run")


def extras(is_there: Callable[[str], bool] | None = None) -> Iterator[Check]:
    is_there = is_there or _importable
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if not is_there(module)]
        if not missing:
            yield Check(f"extra {extra}", "ok", ", ".join(_with_version(module) for module in modules[:2]))
        else:
            yield Check(f"extra {extra}", "info" if extra in ELSEWHERE else "warn", f"not installed: {', '.join(missing)}", f'pip install "seatrial[{extra}]"')


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent package is missing or broken
        return False


def _with_version(module: str) -> str:
    try:
        return f"{module} {importlib.metadata.version(module.replace('.', '-'))}"
    except importlib.metadata.PackageNotFoundError:
        return module


def java(env: Mapping[str, str] = os.environ) -> Check:
    """Read from the ``release`` file beside the program: to start a JVM takes longer than all other checks together."""
    hint = f"only params.engine=spark needs it: install a JDK {_JAVA} and set JAVA_HOME"
    program = shutil.which("java", path=os.pathsep.join([f"{env['JAVA_HOME']}/bin"] if env.get("JAVA_HOME") else [env.get("PATH", "")]))
    if program is None:
        return Check("java", "info", "no Java found", hint)
    release = Path(program).resolve().parents[1] / "release"
    version = re.search(r'JAVA_VERSION="(\d+)([^"]*)"', release.read_text(errors="replace")) if release.is_file() else None
    if version is None:
        return Check("java", "ok", f"Java at {program}")
    supported = int(version[1]) >= _JAVA
    return Check("java", "ok" if supported else "warn", f"Java {version[1]}{version[2]} at {program}", "" if supported else hint)


def memory(cgroup: Path = Path("/sys/fs/cgroup")) -> Check:
    """What this process may use: the machine's, or less where a container's limits say so."""
    amount = psutil.virtual_memory().total
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    limit, quota = _read(cgroup / "memory.max"), _read(cgroup / "cpu.max").split()
    if limit.isdigit():
        amount = min(amount, int(limit))
    if len(quota) == 2 and quota[0].isdigit():
        cores = min(cores, int(quota[0]) / int(quota[1]))
    text = f"{amount / _GIB:.1f} GiB of memory, {cores:g} core{'s' if cores != 1 else ''}"
    if amount >= _MEMORY_LOW:
        return Check("memory", "ok", text)
    return Check("memory", "warn", text, "the whole example wants about 4 GiB; give the container more, or set targets.local.max_parallel=1")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def shared_memory(folder: Path = Path("/dev/shm")) -> Iterator[Check]:  # noqa: S108  the kernel's own folder
    if folder.is_dir():
        size = shutil.disk_usage(folder).total
        hint = "start the container with a larger one, e.g. docker run --shm-size=1g; Ray else writes its objects to disk, which is slow"
        yield Check("shared memory", "ok" if size >= _SHARED_LOW else "warn", f"{size / _GIB:.2f} GiB at {folder}", "" if size >= _SHARED_LOW else hint)


def port(number: int, served: str = "") -> Check:
    """The service's port or the Ray dashboard's. Taken by this home's own service (``served``: its address) is as good as free."""
    name = f"port {number}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
            return Check(name, "ok", "free")
        except OSError:
            listener = _listener(number)
    if served.endswith(f":{number}"):
        return Check(name, "ok", "in use by this home's service")
    if number == RAY_DASHBOARD:
        return Check(name, "info", f"in use{listener}", "a Ray dashboard stands there by habit: --on ray reaches it")
    return Check(name, "warn", f"in use{listener}", f"stop it, or choose another port: --set targets.local.port={number + 1}")


def _listener(number: int) -> str:
    try:
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN and each.laddr and each.pid]
        pids = [each.pid for each in listening if tuple(each.laddr)[1:2] == (number,)]
        return f" by {psutil.Process(pids[0]).name()} (pid {pids[0]})" if pids else ""
    except psutil.Error:  # macOS shows only root whose ports are whose
        return ""


def tools() -> Check:
    there = [tool for tool in TOOLS if shutil.which(tool)]
    absent = [tool for tool in TOOLS if tool not in there]
    text = "; ".join(filter(None, [f"found {', '.join(there)}" if there else "", f"not found {', '.join(absent)}" if absent else ""]))
    return Check("tools", "info" if absent else "ok", text, "only for Kubernetes: a cluster on this machine, or a look into one" if absent else "")


def variables(env: Mapping[str, str] = os.environ) -> Check:
    """Names only: what they hold may be secret."""
    named = [name for name in VARIABLES if env.get(name)]
    text = f"set: {', '.join(named)}" if named else "none that matters is set"
    token = env.get("RAY_AUTH_TOKEN_PATH")
    if token and not Path(token).is_file():
        return Check("variables", "warn", f"{text}; RAY_AUTH_TOKEN_PATH names no file", "correct it, or unset it: Ray clusters refuse a client without token")
    return Check("variables", "info", text)
