"""The test servers themselves: they answer, they check signatures, and the runner hands the exit code on."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from botocore.exceptions import ClientError
from redis import Redis

from tests.servers.__main__ import main
from tests.servers.s3 import s3_client

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.servers
def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.servers
def test_redis_answers(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.ping()


@pytest.mark.servers
def test_s3_keeps_objects_and_checks_signatures(s3_environment: dict[str, str], s3_bucket: str) -> None:
    client = s3_client(s3_environment)
    client.put_object(Bucket=s3_bucket, Key="a ü.jpg", Body=b"0123456789")
    assert client.get_object(Bucket=s3_bucket, Key="a ü.jpg", Range="bytes=2-4")["Body"].read() == b"234"
    stranger = s3_client(s3_environment | {"PHOTOLALA_S3_SECRET_KEY": "wrong"})
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.get_object(Bucket=s3_bucket, Key="a ü.jpg")


@pytest.mark.servers
def test_the_runner_exports_the_servers_and_returns_the_exit_code() -> None:
    names = ["DATABASE", "BROKER", "CACHE", "S3_ENDPOINT", "S3_REGION", "S3_ACCESS_KEY", "S3_SECRET_KEY"]
    code = f"import os, sys; print([os.environ['PHOTOLALA_' + name] for name in {names}]); sys.exit(5)"
    result = subprocess.run(
        [sys.executable, "-m", "tests.servers", "run", "--", sys.executable, "-c", code],
        cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 5, result.stderr
    assert "postgresql://" in result.stdout
    assert "s3://photolala-test/cache" in result.stdout


def test_wrong_use_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start"]) == 2
    assert "python -m tests.servers run --" in capsys.readouterr().err
