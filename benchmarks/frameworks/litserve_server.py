"""The rows in LitServe as it comes: ``python litserve_server.py BUNDLE PORT``, in an environment that has it."""

import sys
from typing import Any

import litserve
from row_model import RowModel


class Rows(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = RowModel(sys.argv[1])

    def decode_request(self, request: dict[str, Any]) -> Any:
        return self.model.row_type.model_validate(request)

    def predict(self, row: Any) -> dict[str, Any]:
        return self.model.predict(row)


if __name__ == "__main__":
    litserve.LitServer(Rows(api_path="/predict"), accelerator="cpu").run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
