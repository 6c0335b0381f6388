"""What one would write by hand around the same model: FastAPI with pydantic and ONNX Runtime, behind uvicorn or in Ray Serve as it comes.

python -m benchmarks.serving_peers fastapi --bundle FOLDER --port N       uvicorn, one worker, access log on
python -m benchmarks.serving_peers ray --bundle FOLDER --port N           Ray Serve with its defaults, one replica
"""

from __future__ import annotations

import argparse
import threading
from typing import Any


def application(bundle: str) -> Any:
    """One ``async def`` handler."""
    from fastapi import FastAPI

    from benchmarks.frameworks.row_model import RowModel

    model, app = RowModel(bundle), FastAPI()

    async def predict(row: Any) -> dict[str, Any]:
        return model.predict(row)

    predict.__annotations__["row"] = model.row_type  # known only now
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
