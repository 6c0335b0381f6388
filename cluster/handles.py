"""Handles of Kubernetes jobs: ``kubernetes://<context>/<namespace>/<kind>/<name>``.

The context is a kubeconfig's, with ``/`` and other special characters percent-encoded; ``in-cluster`` is the cluster that
the process itself runs in; ``current`` stands in a plan that was made where there is no kubeconfig.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from jobs.contracts.errors import RequestError

SCHEME = "kubernetes://"
KINDS = ("RayJob", "Job")


@dataclass(frozen=True)
class Handle:
    context: str
    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{SCHEME}{quote(self.context, safe=':@._-')}/{self.namespace}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Errors: RequestError that shows the form."""
        parts = text.removeprefix(SCHEME).split("/")
        if not text.startswith(SCHEME) or len(parts) != 4 or not all(parts) or parts[2] not in KINDS:
            hint = "handles look like kubernetes://<context>/<namespace>/<RayJob or Job>/<name>; `seatrial jobs` lists them"
            raise RequestError(f"not a handle of the kubernetes target: {text!r}", hint=hint)
        return cls(unquote(parts[0]), *parts[1:])
