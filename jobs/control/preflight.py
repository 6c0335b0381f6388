"""Before anything is sent: what the target has against a plan ends the work here, in words."""

from __future__ import annotations

from jobs.contracts.errors import RequestError
from jobs.control.backend import Backend
from jobs.control.plan import Plan


def refuse_if_unfit(backend: Backend, plan: Plan) -> None:
    """Errors: RequestError with the target's causes, or what its check raises when it cannot be asked."""
    if causes := backend.check(plan):
        what = "; ".join(cause.what + (f" ({cause.evidence})" if cause.evidence else "") for cause in causes)
        raise RequestError(what, where=plan.target, hint="; ".join(cause.hint for cause in causes if cause.hint))
