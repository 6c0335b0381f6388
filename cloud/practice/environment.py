"""The variables that lead unmodified boto3 and azure-ai-ml programs to practice, and dummy credentials."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from cloud.practice.settings import AWS_KEY, BUCKET, GROUP, REGION, ROLE, SUBSCRIPTION, WORKSPACE

_ELSEWHERE = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")  # these would lead away from practice


def variables(record: dict[str, Any], folder: Path) -> dict[str, str]:
    """``record`` is the service's own, ``folder`` is ``<home>/practice``."""
    return {
        "AWS_ENDPOINT_URL": record["aws"],
        "AWS_ACCESS_KEY_ID": AWS_KEY,
        "AWS_SECRET_ACCESS_KEY": AWS_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ARM_CLOUD_METADATA_URL": f"{record['azure']}/metadata/endpoints",
        "IDENTITY_ENDPOINT": f"{record['azure']}/msi/token",
        "IDENTITY_HEADER": "practice",
        "REQUESTS_CA_BUNDLE": str(folder / "tls" / "ca-bundle.pem"),
    }


def shell(chosen: dict[str, str]) -> str:
    """Lines for ``eval``."""
    lines = [f"unset {' '.join(_ELSEWHERE)}", *(f"export {name}={shlex.quote(value)}" for name, value in chosen.items())]
    lines += [f"# SageMaker: role {ROLE}, bucket {BUCKET}", f"# Azure ML: subscription {SUBSCRIPTION}, resource group {GROUP}, workspace {WORKSPACE}"]
    return "\n".join(lines)


def unset() -> str:
    """What leads back to the real clouds, whether the service is up or not."""
    names = variables({"aws": "", "azure": ""}, Path())
    return f"unset {' '.join(names)}"
