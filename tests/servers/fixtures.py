"""Pytest fixtures of the test servers: those that the environment names (see `tests.servers run`), else new ones."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from tests.servers.postgres import running_postgres
from tests.servers.redis import running_redis
from tests.servers.s3 import running_s3, s3_client

Environment = dict[str, str]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database."""
    with _named_or_started("PHOTOLALA_DATABASE", "postgresql://", running_postgres) as environment:
        yield environment["PHOTOLALA_DATABASE"]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Yield the URL of a Redis database."""
    with _named_or_started("PHOTOLALA_BROKER", "redis://", running_redis) as environment:
        yield environment["PHOTOLALA_BROKER"]


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[Environment]:
    """Yield the PHOTOLALA_S3_… variables of an S3 server."""
    with _named_or_started("PHOTOLALA_S3_ENDPOINT", "http", running_s3) as environment:
        yield {name: value for name, value in environment.items() if name.startswith("PHOTOLALA_S3_")}


@pytest.fixture
def s3_bucket(s3_environment: Environment) -> str:
    """Return the name of a new, empty bucket."""
    name = f"test-{uuid.uuid4()}"
    s3_client(s3_environment).create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3_settings(settings: Any, s3_environment: Environment) -> None:
    """Let the site reach that server: for libraries in buckets, and copies of catalogs."""
    names = {
        "endpoint_url": "ENDPOINT",
        "region_name": "REGION",
        "access_key": "ACCESS_KEY",
        "secret_key": "SECRET_KEY",
    }
    settings.S3 = {key: s3_environment[f"PHOTOLALA_S3_{name}"] for key, name in names.items()}


def _named_or_started(
    variable: str, prefix: str, start: Callable[[], AbstractContextManager[Environment]]
) -> AbstractContextManager[Environment]:
    if os.environ.get(variable, "").startswith(prefix):
        return nullcontext(dict(os.environ))
    return start()
