"""A program as Azure's documentation writes it: azure-ai-ml and azure-identity, and nothing of this project.

python plain_script.py SUBSCRIPTION GROUP WORKSPACE IMAGE FOLDER
"""

import json
import sys
from pathlib import Path

from azure.ai.ml import Input, MLClient, MpiDistribution, Output, command
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import CodeConfiguration, Data, Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model
from azure.identity import DefaultAzureCredential

TRAIN = """
import argparse, os, pathlib
import mlflow
parser = argparse.ArgumentParser()
parser.add_argument("--data"); parser.add_argument("--slope", type=float); parser.add_argument("--model")
given = parser.parse_args()
rank = int(os.environ["OMPI_COMM_WORLD_RANK"])
rows = [line.split(",") for line in (pathlib.Path(given.data) / "rows.csv").read_text().splitlines()]
print("rank", rank, "of", os.environ["OMPI_COMM_WORLD_SIZE"], "rows", len(rows), flush=True)
if rank == 0:
    mlflow.log_metric("rows", len(rows))
    (pathlib.Path(given.model) / "slope.txt").write_text(str(given.slope))
    pathlib.Path("outputs/report.txt").write_text("trained")
"""
SCORE = """
import json, os, pathlib
def init():
    global slope
    slope = float(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("slope.txt")).read_text())
def run(raw):
    return [slope * x for x in json.loads(raw)["data"]]
"""

subscription, group, workspace, image, folder = sys.argv[1:]
work = Path(folder)
for name, text in {"src/train.py": TRAIN, "score/score.py": SCORE, "data/rows.csv": "1,2\n3,4\n"}.items():
    (work / name).parent.mkdir(parents=True, exist_ok=True)
    (work / name).write_text(text)

ml_client = MLClient(DefaultAzureCredential(), subscription, group, workspace)
print("workspace", ml_client.workspaces.get(workspace).name)
environment = ml_client.environments.create_or_update(Environment(name="plain", image=image))
data = ml_client.data.create_or_update(Data(name="rows", path=str(work / "data"), type=AssetTypes.URI_FOLDER))
job = ml_client.jobs.create_or_update(
    command(
        code=str(work / "src"),
        command="python train.py --data ${{inputs.data}} --slope ${{inputs.slope}} --model ${{outputs.model}}",
        inputs={"data": Input(type=AssetTypes.URI_FOLDER, path=f"azureml:{data.name}:{data.version}"), "slope": 2.5},
        outputs={"model": Output(type=AssetTypes.URI_FOLDER)},
        environment=f"{environment.name}@latest",
        compute="cpu-cluster",
        instance_count=2,
        distribution=MpiDistribution(process_count_per_instance=1),
        experiment_name="plain",
    )
)
ml_client.jobs.stream(job.name)
assert ml_client.jobs.get(job.name).status == "Completed"
ml_client.jobs.download(job.name, download_path=work / "down", all=True)
assert (work / "down/named-outputs/model/slope.txt").read_text() == "2.5"
assert (work / "down/artifacts/outputs/report.txt").read_text() == "trained"
assert len(list((work / "down/artifacts/user_logs").iterdir())) == 2

model = ml_client.models.create_or_update(Model(name="plain-model", path=f"azureml://jobs/{job.name}/outputs/model", type=AssetTypes.CUSTOM_MODEL))
endpoint = ml_client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="plain-endpoint", auth_mode="key")).result()
ml_client.online_deployments.begin_create_or_update(
    ManagedOnlineDeployment(
        name="blue",
        endpoint_name=endpoint.name,
        model=model,
        environment=environment,
        code_configuration=CodeConfiguration(code=str(work / "score"), scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
).result()
endpoint.traffic = {"blue": 100}
ml_client.online_endpoints.begin_create_or_update(endpoint).result()
(work / "request.json").write_text('{"data": [1, 2]}')
answer = ml_client.online_endpoints.invoke(endpoint.name, request_file=str(work / "request.json"))
assert json.loads(answer) == [2.5, 5.0], answer
ml_client.online_endpoints.begin_delete(endpoint.name).result()
assert job.name in [each.name for each in ml_client.jobs.list()]
print("all done")
