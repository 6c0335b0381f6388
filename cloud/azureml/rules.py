"""What the SDK lets through and Azure refuses, or worse, accepts: found in a command job's document before it is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z_]\w*)\s*\}\}")
_ANY_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOCATION = re.compile(r"(azureml|wasbs|abfss|https)://\S+|azureml:[^\s:]+(:\S+|@latest)")
_INPUT_MODES = ("ro_mount", "rw_mount", "download", "direct", "eval_mount", "eval_download")
_OUTPUT_MODES = ("rw_mount", "upload", "direct")
_TYPES = ("uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")
_MOST_TAGS, _TAG = 50, 256
_SHM = re.compile(r"\d+[bkmg]")


def violations(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a command job's document; empty when nothing is known to be."""
    return [*_names(document), *_command(document), *_places(document), *_machines(document), *_texts(document)]


def _names(document: Mapping[str, Any]) -> Iterator[str]:
    name = document.get("name")
    if name is not None and not _NAME.fullmatch(str(name)):
        yield f"name {name!r}: use letters, digits, - and _, starting with a letter or digit, at most 255"
    inputs, outputs = document.get("inputs", {}), document.get("outputs", {})
    for key in [*inputs, *outputs]:
        if not _KEY.fullmatch(key):
            yield f"{key!r} cannot be the name of an input or output: use letters, digits and _"
    for key in set(inputs) & set(outputs):
        yield f"{key!r} is an input and an output"


def _command(document: Mapping[str, Any]) -> Iterator[str]:
    command = document.get("command")
    if not isinstance(command, str) or not command.strip():
        yield "command: there is none"
        return
    known = {"inputs": document.get("inputs", {}), "outputs": document.get("outputs", {})}
    for text in _ANY_EXPRESSION.findall(command):
        found = _EXPRESSION.fullmatch(f"${{{{{text}}}}}")
        if not found:
            yield f"command: ${{{{{text}}}}} is no expression; write ${{{{inputs.name}}}} or ${{{{outputs.name}}}}"
        elif found[2] not in known[found[1]]:
            yield f"command: ${{{{{found[1]}.{found[2]}}}}} is not defined; there are: {', '.join(known[found[1]]) or 'none'}"


def _places(document: Mapping[str, Any]) -> Iterator[str]:
    for kind, modes in (("inputs", _INPUT_MODES), ("outputs", _OUTPUT_MODES)):
        for key, value in document.get(kind, {}).items():
            if not isinstance(value, Mapping):
                continue  # a literal
            if value.get("type", "uri_folder") not in _TYPES:
                yield f"{kind}.{key}: the type {value['type']!r} is unknown; there are {', '.join(_TYPES)}"
            if value.get("mode", modes[0]) not in modes:
                yield f"{kind}.{key}: the mode {value['mode']!r} is unknown; there are {', '.join(modes)}"
            path = value.get("path", "")
            if kind == "inputs" and not path:
                yield f"inputs.{key}: has no path"
            if path and not _LOCATION.fullmatch(path):
                yield f"{kind}.{key}: {path!r} is no location that Azure ML can mount"


def _machines(document: Mapping[str, Any]) -> Iterator[str]:
    resources = document.get("resources", {})
    count = resources.get("instance_count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        yield f"resources.instance_count must be at least 1, and is {count!r}"
    if "shm_size" in resources and not _SHM.fullmatch(str(resources["shm_size"])):
        yield f"resources.shm_size {resources['shm_size']!r}: write a number and b, k, m or g"
    distribution = document.get("distribution", {})
    per_node = distribution.get("process_count_per_instance", 1)
    if not isinstance(per_node, int) or per_node < 1:
        yield f"distribution.process_count_per_instance must be at least 1, and is {per_node!r}"
    timeout = document.get("limits", {}).get("timeout", 1)
    if not isinstance(timeout, int) or timeout < 1:
        yield f"limits.timeout must be a positive number of seconds, and is {timeout!r}"
    if "compute" in document and document.get("queue_settings", {}).get("job_tier"):
        yield "queue_settings.job_tier is for serverless compute; a cluster has a tier of its own"
    if "compute" not in document and "instance_type" not in resources:
        yield "serverless compute needs resources.instance_type"


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.get("environment_variables", {}).items():
        if not _KEY.fullmatch(key):
            yield f"environment_variables: {key!r} is no name of a variable"
        if not isinstance(value, str):
            yield f"environment_variables.{key} must be text, and is {value!r}"
    tags = document.get("tags", {})
    if len(tags) > _MOST_TAGS:
        yield f"tags: at most {_MOST_TAGS}, and there are {len(tags)}"
    for key, value in tags.items():
        if len(str(key)) > _TAG or len(str(value)) > _TAG:
            yield f"tags.{str(key)[:20]}: at most {_TAG} characters"
