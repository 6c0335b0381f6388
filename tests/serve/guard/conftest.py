"""An application with settings of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve.asgi import Application
from serve.guard.settings import GuardSettings
from tests.serve.conftest import Alias, Published, following

Make = Callable[..., Application]
KEY, OTHER = "a-key-of-the-shop-0001", "a-key-of-the-office-02"


@pytest.fixture
def make(published: Published) -> Make:
    """Settings to an application that serves version 1."""

    def made(**settings: Any) -> Application:
        slot = following("parcels", Alias(published.version(1)))
        slot.refresh()
        return Application(slot, settings=GuardSettings(**settings))

    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(f"# who may ask\nshop:{KEY}\n\noffice: {OTHER} \n")
    return path


def bearer(key: str) -> dict[str, str]:
    return {"content-type": "application/json", "authorization": f"Bearer {key}"}
