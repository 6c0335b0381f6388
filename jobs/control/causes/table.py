"""The doctor's table.

A row's pattern is searched in one line. Order counts: the first row that fits a line speaks for it, and causes are listed in this
order, so what explains comes before what merely follows from it (a job that misses its deadline because no node has a GPU).
"""

from __future__ import annotations

from jobs.control.causes import broken, refused, waiting

TABLE = (*refused.ROWS, *waiting.ROWS, *broken.ROWS)

# Reports that a start in good health also makes: probes fail until Ray listens, and their answers may hold any words.
HEALTHY = r"(?:Unhealthy: )?(?:Readiness|Startup|Liveness) probe (?:failed|errored)"
