"""The chart, rendered by the real helm: values in, objects out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.kube_tools import binary

CHART = Path(__file__).parents[2] / "helm/seatrial"
PROFILES = ("", "kind", "minikube", "gpu", "s3")  # "" = values.yaml alone
Object = dict[str, Any]
NOTHING: Mapping[str, Any] = {}
LIVE = ("apiregistration.k8s.io/v1",)  # an API by which the chart knows that it speaks to a cluster


def helm(*arguments: str, values: Mapping[str, Any] = NOTHING) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binary("helm")), *arguments, "--values", "-"], input=yaml.safe_dump(dict(values)), capture_output=True, text=True, check=False)


def template(values: Mapping[str, Any] = NOTHING, *, profile: str = "", apis: Sequence[str] = (), namespace: str = "seatrial") -> Any:
    chosen = ["--values", str(CHART / f"values-{profile}.yaml")] if profile else []
    served = [part for api in apis for part in ("--api-versions", api)]
    return helm("template", "seatrial", str(CHART), "--namespace", namespace, *chosen, *served, values=values)


def render(values: Mapping[str, Any] = NOTHING, **how: Any) -> list[Object]:
    answer = template(values, **how)
    assert answer.returncode == 0, answer.stderr
    return [each for each in yaml.safe_load_all(answer.stdout) if each]


def refusal(values: Mapping[str, Any], **how: Any) -> str:
    """What helm says instead of rendering."""
    answer = template(values, **how)
    assert answer.returncode != 0, "it was rendered"
    return str(answer.stderr)


def find(objects: Sequence[Object], kind: str, name: str = "") -> Object:
    """The only one of this kind, or the one of this name."""
    (found,) = [each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    return found


def names(objects: Sequence[Object], kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in objects if each["kind"] == kind}


def everything() -> Object:
    """Values that switch on all that the chart can make."""
    return {
        "images": {"pullSecrets": ["registry"]},
        "serviceAccounts": {"jobs": {"create": True, "name": "seatrial-jobs", "annotations": {"role": "reader"}}},
        "driver": {"subjects": [{"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}]},
        "mlflow": {"tolerations": [{"key": "spot", "operator": "Exists"}], "nodeSelector": {"disk": "ssd"}},
        "rayService": {"workers": 2, "nodePort": 30800, "env": {"MODE": "fast"}},
        "rayCluster": {"enabled": True, "gpu": {"enabled": True, "replicas": 1, "runtimeClassName": "nvidia"}},
        "retraining": {"enabled": True, "jobFile": "apiVersion: seatrial/v1\n", "code": {"shop/model.py": "def build(): ...\n", "shop/__init__.py": ""}},
        "ingress": {"enabled": True, "host": "predictions.example"},
        "podDisruptionBudget": {"mlflow": True},
        "networkPolicy": {"jobsEgress": [{"ports": [{"port": 443}]}]},
        "quota": {"hard": {"requests.cpu": "16"}, "limits": [{"type": "Container", "defaultRequest": {"cpu": "100m"}}]},
        "monitoring": {"podMonitors": {"enabled": True, "labels": {"release": "prometheus"}}, "dashboards": {"enabled": True}},
    }
