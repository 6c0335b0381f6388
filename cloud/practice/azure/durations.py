"""ISO 8601 durations, as the clients write them: ``PT1H30M``, ``P1DT2S``."""

from __future__ import annotations

import re

from cloud.practice.azure.faults import bad_request

_DURATION = re.compile(r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_UNITS = (86400, 3600, 60, 1)


def seconds(duration: str) -> float:
    found = _DURATION.fullmatch(str(duration))
    if not found or not any(found.groups()):
        raise bad_request(f"'{duration}' is not an ISO 8601 duration.")
    return sum(float(number) * unit for number, unit in zip(found.groups(), _UNITS, strict=True) if number)
