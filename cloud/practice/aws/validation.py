"""Is a request well-formed? botocore's model of the service decides, as on the client's side before sending."""

from __future__ import annotations

from typing import Any

from cloud.practice.aws import errors


def check(action: str, params: dict[str, Any]) -> None:
    """Errors: AwsError with every violation, in the service's words."""
    from cloud.sagemaker.strict import violations

    found = violations(action, params)
    if found:
        number = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
        raise errors.validation(number + "; ".join(found))
