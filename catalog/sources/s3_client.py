"""Makes the client through which a bucket of photos is read."""

from typing import Any

import boto3
from botocore.config import Config


def connect(
    endpoint_url: str | None = None,
    region_name: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    *,
    connect_timeout_seconds: float = 10,
    read_timeout_seconds: float = 30,
) -> Any:
    """Return a new S3 client, for any number of threads. Without keys, those of the environment or the machine are used.

    It tries nothing twice: `Retries` does that, for broken streams too, and waits no longer than it is told.
    """
    session = boto3.session.Session(
        aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region_name
    )
    config = Config(
        connect_timeout=connect_timeout_seconds,
        read_timeout=read_timeout_seconds,
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
        s3={"addressing_style": "path"} if endpoint_url else {},
        response_checksum_validation="when_required",  # not every server knows the newer checksums
    )
    return session.client("s3", endpoint_url=endpoint_url, config=config)
