"""What AWS's own containers tell a user's script: ``SM_*`` variables and the hyperparameters as arguments.

Names and forms are those of the SageMaker training toolkit (its ``ENVIRONMENT_VARIABLES.md``), so that a script written for one of
AWS's framework containers runs here unchanged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from cloud.containers.layout import Layout

RESERVED = "sagemaker_"  # hyperparameters that are settings of the container and not of the script
_OWN = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_job_name",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_s3_output",
    "sagemaker_enable_cloudwatch_metrics",
}


def decoded(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """SageMaker hands over texts; a text that is JSON is what it says."""
    return {name: _decoded(text) for name, text in hyperparameters.items()}


def of_script(values: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that are the script's."""
    return {name: value for name, value in values.items() if not name.startswith(RESERVED)}


def arguments(values: Mapping[str, Any]) -> list[str]:
    """``--name value`` in the order of names; a name of one letter has one dash; a mapping becomes ``key=value,…``."""
    return [word for name in sorted(values) for word in (f"--{name}" if len(name) > 1 else f"-{name}", _word(values[name]))]


def variables(layout: Layout, values: Mapping[str, Any], env: Mapping[str, str] = os.environ) -> dict[str, str]:
    resources, hosts, channels = layout.resources(), layout.hosts(), sorted(layout.channels())
    groups = {each["instance_group_name"]: each for each in resources.get("instance_groups", [])}
    group = resources.get("current_group_name", "homogeneousCluster")
    mine, program = of_script(values), str(values.get("sagemaker_program", ""))
    facts: dict[str, Any] = {
        "model_dir": layout.model,
        "input_dir": layout.root / "input",
        "input_config_dir": layout.config,
        "output_dir": layout.output,
        "output_data_dir": layout.output / "data",
        "output_intermediate_dir": layout.output / "intermediate",
        "channels": channels,
        "hosts": list(hosts.names),
        "current_host": hosts.current,
        "current_instance_type": resources.get("current_instance_type", "local"),
        "current_instance_group": group,
        "current_instance_group_hosts": groups.get(group, {}).get("hosts", []),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": gpus(),
        "num_neurons": 0,
        "hps": mine,
        "user_entry_point": program,
        "module_name": program.removesuffix(".py"),
        "module_dir": str(values.get("sagemaker_submit_directory", layout.code)),
        "user_args": arguments(mine),
        "framework_params": {name: value for name, value in values.items() if name.startswith(RESERVED) and name not in _OWN},
        "resource_config": resources,
        "input_data_config": layout.channels(),
        "log_level": values.get("sagemaker_container_log_level", 20),
        **{f"channel_{name}": layout.data / name for name in channels},
        **{f"hp_{name}": value for name, value in mine.items()},
    }
    found = {f"SM_{name.upper()}": _text(value) for name, value in facts.items()}
    return {**found, "SM_TRAINING_ENV": _text({name: _plain(value) for name, value in facts.items() if not name.startswith(("channel_", "hp_"))})}


def gpus() -> int:
    """NVIDIA's cards, as the driver lists them: no library is asked."""
    try:
        return len(os.listdir("/proc/driver/nvidia/gpus"))
    except OSError:
        return 0


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in sorted(value.items()))
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    value = _plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, os.PathLike) else value
