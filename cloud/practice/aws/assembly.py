"""SageMaker's resources put together."""

from __future__ import annotations

from cloud.practice.aws.endpoint_configs import EndpointConfigs
from cloud.practice.aws.endpoints import Endpoints
from cloud.practice.aws.front import Front
from cloud.practice.aws.live import Live
from cloud.practice.aws.logs import Logs
from cloud.practice.aws.models import Models
from cloud.practice.aws.objects import Objects
from cloud.practice.aws.processing import Processing
from cloud.practice.aws.registry import Registry
from cloud.practice.aws.runtime import Runtime
from cloud.practice.aws.search import Search
from cloud.practice.aws.seed import seed
from cloud.practice.aws.service import Service, operations
from cloud.practice.aws.store import Store
from cloud.practice.aws.tags import Tags
from cloud.practice.aws.training import Training
from cloud.practice.aws.transform import Transform
from cloud.practice.aws.tuning import Tuning
from cloud.practice.settings import Practice


class Aws:
    def __init__(self, practice: Practice) -> None:
        folder = practice.folder / "aws"
        self.service = Service(practice, Store(folder / "state"), Objects(folder / "s3"), Logs(folder / "logs"), Live())
        seed(self.service.objects, practice.images)
        tags = Tags(self.service)
        models = Models(self.service, tags)
        configs = EndpointConfigs(self.service, tags, models)
        training = Training(self.service, tags)
        self._endpoints = Endpoints(self.service, tags, configs)
        jobs = (training, Processing(self.service, tags), Transform(self.service, tags, models), Tuning(self.service, tags, training))
        self._resumed = (*jobs, self._endpoints)
        self.handlers = operations(tags, models, configs, self._endpoints, *jobs, Registry(self.service, tags), Search(self.service, tags))
        self.front = Front(self.service, self.handlers, Runtime(self.service, self._endpoints))

    def resume(self) -> None:
        for resource in self._resumed:
            resource.resume()

    def close(self) -> None:
        self.service.live.closing = True
