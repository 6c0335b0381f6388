"""Errors in the service's own words: a code that SDKs raise by name, and a message."""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """``code`` is what ``ClientError.response["Error"]["Code"]`` says; ``status`` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.fields = code, message, status, fields


def validation(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def not_found(message: str) -> AwsError:
    """Of the operations whose model declares ``ResourceNotFound`` (jobs)."""
    return AwsError("ResourceNotFound", message)


def unknown(what: str, arn: str) -> AwsError:
    """Of the others (models, endpoints, packages), which answer a ValidationException."""
    return validation(f'Could not find {what} "{arn}".')


def in_use(message: str) -> AwsError:
    return AwsError("ResourceInUse", message)


def limit(message: str) -> AwsError:
    return AwsError("ResourceLimitExceeded", message)


def denied(action: str, resource: str) -> AwsError:
    caller = "arn:aws:sts::123456789012:assumed-role/practice/practice"
    text = f"User: {caller} is not authorized to perform: sagemaker:{action} on resource: {resource} because no identity-based policy allows it"
    return AwsError("AccessDeniedException", text)


def throttled() -> AwsError:
    return AwsError("ThrottlingException", "Rate exceeded")


def not_built(action: str) -> AwsError:
    return AwsError("NotImplementedException", f"practice does not implement {action}; see docs/guides/practice-operations.md", 501)
