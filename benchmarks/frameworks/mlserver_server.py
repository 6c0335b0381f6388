"""The rows in MLServer as it comes, in columns of the Open Inference Protocol: ``mlserver start FOLDER`` names it in model-settings.json."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from row_model import RowModel


class Rows(MLModel):
    async def load(self) -> bool:
        self._model = RowModel(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        found = self._model.probabilities({each.name: each.data.root for each in payload.inputs})
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probability", found)])
