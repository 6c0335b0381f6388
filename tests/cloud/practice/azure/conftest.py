from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.practice.azure.workspace import Workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One service for all tests that do not restart it; names keep them apart."""
    workspace = Workspace(tmp_path_factory.mktemp("azure"))
    yield workspace
    workspace.close()
