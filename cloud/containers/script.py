"""A user's own training script, by the convention of AWS's framework containers.

    sagemaker_program             a hyperparameter (or SAGEMAKER_PROGRAM): the script, a path inside its archive
    sagemaker_submit_directory    s3://…/sourcedir.tar.gz, or a folder of the container; without it the channel ``code``
    sagemaker_torch_distributed_enabled    true: torchrun over all hosts, the first of them the master

The script runs in ``/opt/ml/code`` with ``SM_*`` variables and its hyperparameters as arguments. A ``requirements.txt`` beside it is
installed first, into a folder of its own: the image's packages stay as they are.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud.containers import script_variables
from cloud.containers.addresses import address_of
from cloud.containers.layout import Layout
from cloud.containers.stopping import Stopping
from jobs.contracts import storage
from jobs.contracts.errors import InputError, RunError, SetupError

_PROGRAM, _SOURCE, _TORCH = "sagemaker_program", "sagemaker_submit_directory", "sagemaker_torch_distributed_enabled"
_CHANNELS = ("code", "sourcedir")
_PACKAGES = ".packages"
_TORCH_PORT = 7777  # of AWS's toolkit
_SAID = 600  # characters of a script's last words that a failure's reason has room for


def is_meant(layout: Layout, env: Mapping[str, str] = os.environ) -> bool:
    return _PROGRAM in layout.hyperparameters() or "SAGEMAKER_PROGRAM" in env


def run(layout: Layout, stopping: Stopping, env: Mapping[str, str] = os.environ) -> int:
    """The script's exit code.

    Errors: InputError when there is no such script, RunError when its requirements cannot be installed.
    """
    values = _settings(layout, env)
    folder = _bring(str(values.get(_SOURCE, "")), layout)
    program = folder / str(values[_PROGRAM])
    if not program.is_file():
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise InputError(f"there is no {values[_PROGRAM]!r}", where=str(folder), hint=f"{_PROGRAM} is a path inside the archive; it holds {there}")
    environment = {**env, **script_variables.variables(layout, values, env)}
    paths = [str(folder), *_install(folder, stopping, environment), *filter(None, [env.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    for wanted in (layout.model, layout.output / "data", layout.output / "intermediate"):
        wanted.mkdir(parents=True, exist_ok=True)
    command = [*_launcher(program, values, layout, env), *script_variables.arguments(script_variables.of_script(values))]
    print("running: " + " ".join(command), flush=True)
    finished = stopping.run(command, environment, folder)
    if finished.code:
        words = " ".join(command)
        layout.fail(f'ExecuteUserScriptError: ExitCode {finished.code} ErrorMessage "{finished.said[-_SAID:]}" Command "{words}"')
    else:
        (layout.output / "success").touch()
    return finished.code


def _settings(layout: Layout, env: Mapping[str, str]) -> dict[str, Any]:
    fallback = {_PROGRAM: env.get("SAGEMAKER_PROGRAM"), _SOURCE: env.get("SAGEMAKER_SUBMIT_DIRECTORY")}
    return {name: value for name, value in fallback.items() if value} | script_variables.decoded(layout.hyperparameters())


def _bring(source: str, layout: Layout) -> Path:
    """The folder that the script runs in: ``/opt/ml/code``, or the one that is named."""
    if not source:
        channel = next((layout.data / name for name in _CHANNELS if (layout.data / name).is_dir()), None)
        if channel is None and not (layout.code.is_dir() and any(layout.code.iterdir())):
            raise InputError(
                "there is no script to run", where=str(layout.data), hint=f"set the hyperparameter {_SOURCE}, or bring the script in a channel `{_CHANNELS[0]}`"
            )
        source = str(channel or layout.code)
    if not storage.is_local(source):
        with tempfile.TemporaryDirectory(prefix="code-") as scratch:
            archive = Path(scratch) / source.rsplit("/", 1)[-1]
            storage.copy(source, str(archive))
            return _unpack(archive, source, layout.code)
    place = storage.local_path(source)
    if place.is_dir():
        archives = [path for path in place.iterdir() if path.name.endswith((".tar.gz", ".tgz"))]
        if len(archives) != 1:
            return _writable(place, layout.code)
        place = archives[0]
    return _unpack(place, source, layout.code)


def _writable(folder: Path, target: Path) -> Path:
    """A channel may be read-only, and scripts write beside themselves."""
    if folder != target and not os.access(folder, os.W_OK):
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return target
    return folder


def _unpack(archive: Path, source: str, folder: Path) -> Path:
    """Errors: InputError for what is no archive. Members that would leave the folder are refused."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as members:
            members.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"this is no tar archive: {error}", where=source, hint=f"{_SOURCE} is a .tar.gz of the script's folder") from error
    return folder


def _install(folder: Path, stopping: Stopping, environment: Mapping[str, str]) -> list[str]:
    """Folders for the search path.

    Errors: SetupError without pip, RunError when pip fails.
    """
    wanted = folder / "requirements.txt"
    if not wanted.exists():
        return []
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("pip") or "", "--python", sys.executable]
    if not pip[0]:
        raise SetupError("there is no pip to install the script's requirements", where=str(wanted), hint="put them into the image, or leave this file out")
    target = folder / _PACKAGES
    command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--target", str(target), "--requirement", str(wanted)]
    if (finished := stopping.run(command, environment)).code:
        raise RunError(f"pip ended with {finished.code}: {finished.said[-_SAID:]}", where=str(wanted), hint="correct the requirements")
    return [str(target)]


def _launcher(program: Path, values: Mapping[str, Any], layout: Layout, env: Mapping[str, str]) -> list[str]:
    if program.suffix != ".py":
        return ["/bin/sh", str(program)]
    if not values.get(_TORCH):
        return [sys.executable, str(program)]
    hosts = layout.hosts()
    words = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={len(hosts)}", f"--nproc_per_node={max(1, script_variables.gpus())}"]
    words += [f"--master_addr={address_of(hosts.head, env)}", f"--master_port={_TORCH_PORT}", f"--node_rank={hosts.names.index(hosts.current)}"]
    return [*words, str(program)]
