"""What both fronts are given: where state lies, the ports, and the parts they share.

<home>/practice/   service.json   log.txt   images.json   injections.json   events.jsonl   aws/   azure/   tls/   bin/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cloud.practice.events import Events
from cloud.practice.hosts import Executor, Limits
from cloud.practice.images import Images
from cloud.practice.inject import Injections

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SeatrialPractice"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"  # the name that Amazon's own SDK gives its default bucket
AWS_KEY = "practice"  # both halves: practice checks no signature, and no real account has such a key
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
GROUP = "practice"
WORKSPACE = "practice"
PAGE_PORT, AWS_PORT, AZURE_PORT = 5600, 5601, 5602


@dataclass(frozen=True)
class Practice:
    folder: Path
    page_port: int
    aws_port: int
    azure_port: int
    images: Images
    executor: Executor
    injections: Injections
    events: Events
    limits: Limits = field(default_factory=Limits)  # of every host: cores and MiB

    @classmethod
    def open(cls, folder: Path, page_port: int = PAGE_PORT, aws_port: int = AWS_PORT, azure_port: int = AZURE_PORT, limits: Limits | None = None) -> Practice:
        """The service's parts over one folder, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = (Images(folder), Executor(), Injections(folder / "injections.json"), Events(folder / "events.jsonl"))
        return cls(folder, page_port, aws_port, azure_port, *parts, limits or Limits())

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.page_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def azure_url(self) -> str:
        return f"https://127.0.0.1:{self.azure_port}"
