from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.practice.service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One practice service for all tests that do not restart it; names keep them apart."""
    service = Service(tmp_path_factory.mktemp("practice"))
    yield service
    service.close()
