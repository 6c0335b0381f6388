"""What the practice workspace has from the start: itself, its two data stores, and computes to choose from."""

from __future__ import annotations

from typing import Any

from cloud.practice.azure import tokens
from cloud.practice.azure.addresses import WORKSPACE_ID, address
from cloud.practice.azure.blobs import STORES
from cloud.practice.azure.documents import Documents
from cloud.practice.settings import SUBSCRIPTION, WORKSPACE, Practice

LOCATION = "westeurope"
SUFFIX = "local"  # of storage accounts, in the cloud's metadata
SAS = "sv=2025-05-05&sr=c&sp=racwdl&se=2099-01-01T00:00:00Z&sig=cHJhY3RpY2U="
_NODES = 4  # of a cluster


def account(practice: Practice) -> str:
    """Clients build ``https://{account}.blob.{suffix}``: this account makes an address of this server of it, without DNS."""
    return f"127.0.0.1:{practice.azure_port}/{WORKSPACE}"


def blob_url(practice: Practice, container: str) -> str:
    return f"https://{account(practice)}.blob.{SUFFIX}/{container}"


def cloud(practice: Practice) -> list[dict[str, Any]]:
    """The answer of ``/metadata/endpoints``: this server is the one cloud there is."""
    url = practice.azure_url
    return [
        {
            "name": "SeatrialPractice",
            "portal": "https://portal.practice.local",
            "resourceManager": url,
            "authentication": {"loginEndpoint": url, "audiences": [url], "tenant": "common", "identityProvider": "AAD"},
            "suffixes": {"storage": SUFFIX, "keyVaultDns": "vault.practice.local", "acrLoginServer": "azurecr.practice.local"},
        }
    ]


def workspace(practice: Practice) -> dict[str, Any]:
    url = practice.azure_url
    around = WORKSPACE_ID.split("/providers/")[0]
    properties = {
        "friendlyName": WORKSPACE,
        "description": "The practice workspace of seatrial.",
        "workspaceId": SUBSCRIPTION,
        "provisioningState": "Succeeded",
        "discoveryUrl": f"{url}/discovery",
        "mlFlowTrackingUri": tracking_url(practice),
        "storageAccount": f"{around}/providers/Microsoft.Storage/storageAccounts/{WORKSPACE}",
        "keyVault": f"{around}/providers/Microsoft.KeyVault/vaults/{WORKSPACE}",
        "applicationInsights": f"{around}/providers/Microsoft.Insights/components/{WORKSPACE}",
        "hbiWorkspace": False,
        "publicNetworkAccess": "Enabled",
        "tenantId": SUBSCRIPTION,
    }
    kind = {
        "kind": "Default",
        "location": LOCATION,
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"type": "SystemAssigned", "tenantId": SUBSCRIPTION},
    }
    return {"id": WORKSPACE_ID, "name": WORKSPACE, "type": "Microsoft.MachineLearningServices/workspaces", "tags": {}, **kind, "properties": properties}


def tracking_url(practice: Practice) -> str:
    """MLflow's REST protocol, spoken by this server."""
    return f"{practice.azure_url}/mlflow/v1.0{WORKSPACE_ID}"


def way_here(practice: Practice) -> dict[str, str]:
    """The variables with which a program inside a job or a deployment reaches this service, as its identity."""
    return {
        "REQUESTS_CA_BUNDLE": str(practice.folder / "tls" / "ca-bundle.pem"),
        "ARM_CLOUD_METADATA_URL": f"{practice.azure_url}/metadata/endpoints",
        "IDENTITY_ENDPOINT": f"{practice.azure_url}/msi/token",
        "IDENTITY_HEADER": tokens.HEADER,
    }


def discovery(practice: Practice) -> dict[str, str]:
    names = ("api", "catalog", "experimentation", "history", "hyperdrive", "modelmanagement", "pipelines", "studio", "inferencing", "dataset")
    return dict.fromkeys(names, practice.azure_url)


def plant(practice: Practice, documents: Documents) -> None:
    """Data stores carry this service's port and are written again at every start; computes stay as the user left them."""
    for name, container in STORES.items():
        facts = {
            "datastoreType": "AzureBlob",
            "accountName": account(practice),
            "containerName": container,
            "endpoint": SUFFIX,
            "protocol": "https",
            "credentials": {"credentialsType": "AccountKey"},
            "isDefault": name == "workspaceblobstore",
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": WORKSPACE,
            "serviceDataAccessAuthIdentity": "None",
            "tags": {},
            "properties": {},
        }
        documents.put(address("datastores", name), facts)
    for name, priority in (("cpu-cluster", "Dedicated"), ("low-priority-cluster", "LowPriority")):
        if documents.get(address("computes", name)) is None:
            documents.put(address("computes", name), cluster(priority), location=LOCATION)


def cluster(priority: str, size: str = "STANDARD_DS3_V2", nodes: int = _NODES) -> dict[str, Any]:
    scale = {"minNodeCount": 0, "maxNodeCount": nodes, "nodeIdleTimeBeforeScaleDown": "PT2M"}
    inside = {
        "vmSize": size,
        "vmPriority": priority,
        "scaleSettings": scale,
        "osType": "Linux",
        "allocationState": "Steady",
        "currentNodeCount": 0,
        "targetNodeCount": 0,
    }
    return {"computeType": "AmlCompute", "computeLocation": LOCATION, "provisioningState": "Succeeded", "isAttachedCompute": False, "properties": inside}
