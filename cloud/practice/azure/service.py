"""The parts of the Azure front, put together over one folder."""

from __future__ import annotations

from dataclasses import dataclass

from cloud.practice.azure import kinds, seeds
from cloud.practice.azure.assets import Assets
from cloud.practice.azure.blobs import Blobs
from cloud.practice.azure.documents import Documents
from cloud.practice.azure.endpoints import Endpoints
from cloud.practice.azure.history import History
from cloud.practice.azure.jobs import Jobs
from cloud.practice.azure.tracking import Tracking
from cloud.practice.settings import Practice


@dataclass(frozen=True)
class Service:
    practice: Practice
    documents: Documents
    blobs: Blobs
    tracking: Tracking
    jobs: Jobs
    assets: Assets
    history: History
    endpoints: Endpoints

    @classmethod
    def open(cls, practice: Practice) -> Service:
        root = practice.folder / "azure"
        documents, blobs = Documents(root / "documents.db"), Blobs(root)
        tracking = Tracking(root / "tracking.db")
        seeds.plant(practice, documents)
        jobs = Jobs(practice, documents, blobs, tracking, root, kinds.of)
        assets, endpoints = Assets(practice, documents, jobs.places), Endpoints(practice, documents, jobs.places, root)
        return cls(practice, documents, blobs, tracking, jobs, assets, History(jobs), endpoints)

    def resume(self) -> None:
        self.jobs.resume()
        self.endpoints.resume()

    def close(self) -> None:
        self.jobs.close()
        self.endpoints.close()
        self.tracking.close()
        self.documents.close()
