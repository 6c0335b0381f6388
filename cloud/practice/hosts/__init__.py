"""The executor: a group of hosts as processes, each with its own name, address and view of the file system.

It knows no cloud. Both fronts describe a :class:`HostGroup`, get a :class:`Run` and learn how it :class:`Ended`.
"""

from __future__ import annotations

from cloud.practice.hosts.executor import Executor
from cloud.practice.hosts.group import Ended, Host, HostGroup, Limits
from cloud.practice.hosts.run import Run

__all__ = ["Ended", "Executor", "Host", "HostGroup", "Limits", "Run"]
