"""The rows in BentoML as it comes: ``BUNDLE=FOLDER bentoml serve bentoml_server:Rows``, in an environment that has it."""

import os
from typing import Any

import bentoml
from row_model import RowModel

MODEL = RowModel(os.environ["BUNDLE"])


@bentoml.service
class Rows:
    @bentoml.api
    def predict(self, row: MODEL.row_type, /) -> dict[str, Any]:
        return MODEL.predict(row)
