"""What one would write by hand around the same model: FastAPI with pydantic and ONNX Runtime, behind uvicorn or in Ray Serve as it comes.

python -m benchmarks.serving_peers fastapi --bundle FOLDER --port N       uvicorn, one worker, access log on
python -m benchmarks.serving_peers ray --bundle FOLDER --port N           Ray Serve with its defaults, one replica
"""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path
from typing import Any


def application(bundle: str) -> Any:
    """One ``async def`` handler: a pydantic model validates, dictionaries find the categories, one session scores."""
    import numpy as np
    import onnxruntime
    from fastapi import FastAPI
    from pydantic import ConfigDict, create_model

    folder = Path(bundle)
    described = json.loads((folder / "bundle.json").read_bytes())
    tables = {name: {value: place for place, value in enumerate(values, 1)} for name, values in json.loads((folder / "vocab.json").read_bytes()).items()}
    texts = [each["name"] for each in described["inputs"] if each["kind"] == "category"]
    numbers = [each["name"] for each in described["inputs"] if each["kind"] == "number"]
    fields: dict[str, Any] = dict.fromkeys(texts, (str | None, ...)) | dict.fromkeys(numbers, (float | None, ...))
    row_type = create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    threshold = described["threshold"]
    app = FastAPI()

    async def predict(row: row_type) -> dict[str, Any]:  # type: ignore[valid-type]
        categorical = np.array([[tables[name].get(getattr(row, name), 0) for name in texts]], np.int64)
        numeric = np.array([[getattr(row, name) for name in numbers]], np.float64).astype(np.float32)
        probability = float(session.run(["probability"], {"categorical": categorical, "numeric": numeric})[0][0])
        return {"predictions": [{"probability": probability, "label": int(probability >= threshold)}]}

    predict.__annotations__["row"] = row_type  # the annotation above is text, and its name is local
    app.post("/predict")(predict)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["fastapi", "ray"])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    if given.peer == "fastapi":
        import uvicorn

        uvicorn.run(application(given.bundle), host="127.0.0.1", port=given.port, access_log=True)
        return
    import ray
    from ray import serve as ray_serve

    bundle = given.bundle

    def build() -> Any:
        from benchmarks.serving_peers import application as made

        return made(bundle)

    class Peer:
        pass

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    ray_serve.start(http_options={"host": "127.0.0.1", "port": given.port})
    ray_serve.run(ray_serve.deployment(ray_serve.ingress(build)(Peer)).bind(), name="peer", route_prefix="/")
    threading.Event().wait()


if __name__ == "__main__":
    main()
