"""The Ray that Azure ML has started on this node for a job with a Ray distribution.

No variable is documented that names it. RAY_ADDRESS holds where it is set; else the node's own raylet says in its arguments which
head it belongs to, and in its environment whether a token is needed: ``ray start --head`` asks for one as soon as it finds one in
``~/.ray``, and a driver that is given an address does not look there. Of several (a machine where hosts are processes and see each
other) it is the one of this job.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

RUN = "AZUREML_RUN_ID"
_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True)
class _Raylet:
    is_head: bool
    address: str  # host:port of the head
    environment: Mapping[str, str]

    @property
    def run(self) -> str:
        return self.environment.get(RUN, "")


def variables(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What leads a driver to it; empty where none runs for this job."""
    if given := env.get("RAY_ADDRESS"):
        return {"SEATRIAL_RAY_ADDRESS": given}
    raylets = sorted(_raylets(), key=lambda raylet: not raylet.is_head)
    mine = [raylet for raylet in raylets if raylet.run and raylet.run == env.get(RUN)]
    if not mine and len(raylets) == 1 and not raylets[0].run and int(env.get("AZUREML_NODE_COUNT") or 1) > 1:
        mine = raylets
    if not mine:
        return {}
    authentication = {name: mine[0].environment[name] for name in _AUTHENTICATION if name in mine[0].environment}
    return {"SEATRIAL_RAY_ADDRESS": mine[0].address, "RAY_COLOR_PREFIX": "0", **authentication}  # colours are noise in a log file


def _raylets() -> list[_Raylet]:
    """Those that this process sees."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if not words or os.path.basename(words[0]) != "raylet":
                continue
            address = next((word.partition("=")[2] for word in words if word.startswith("--gcs-address=")), "")
            if address:
                found.append(_Raylet("--head" in words, address, process.environ()))
        except psutil.Error:  # it has just ended, or is another user's
            continue
    return found
