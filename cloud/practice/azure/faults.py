"""The errors of Azure Resource Manager and of Azure Machine Learning, in the envelope that the clients read.

The texts are approximations: nobody here could compare them with the real services. The codes are theirs.
"""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """An answer that is an error. ``code``: the service's; ``inner``: what Azure ML says below ``UserError``."""

    def __init__(self, status: int, code: str, message: str, *, inner: str = "", target: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.inner, self.target, self.headers = status, code, message, inner, target, headers or {}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "details": [], "additionalInfo": []}
        if self.target:
            error["target"] = self.target
        if self.inner:
            error["additionalInfo"] = [{"type": "InnerError", "info": {"value": {"code": self.inner, "innerError": None}}}]
        return {"error": error}


def bad_request(message: str, *, inner: str = "BadArgument", target: str = "") -> Fault:
    """Azure ML's own refusal of what a request says."""
    return Fault(400, "UserError", message, inner=inner, target=target)


def bad_content(message: str) -> Fault:
    """Resource Manager's refusal of a request that it cannot read."""
    return Fault(400, "InvalidRequestContent", message)


def not_found(message: str) -> Fault:
    return Fault(404, "UserError", message, inner="NotFound")


def conflict(message: str, *, inner: str = "Conflict") -> Fault:
    return Fault(409, "UserError", message, inner=inner)


def not_implemented(what: str) -> Fault:
    hint = "It answers workspaces, data stores, assets, jobs, computes and online endpoints: see docs/guides/azure-ml.md."
    return Fault(501, "NotImplemented", f"The practice service does not implement {what}. {hint}")
