"""A throwaway S3 server: OpenStack Swift with its s3api, which checks signatures as Amazon does.

Known wrong in it: reads of multipart uploads in a bucket with versioning switched on.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
from botocore.config import Config

from tests.servers.processes import ServerMissing, free_port, running, server_folder, wait_until_ready

BUCKET = "photolala-test"
ACCESS_KEY = "test:tester"
SECRET_KEY = "testing"
REGION = "us-east-1"

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = photolala
swift_hash_path_suffix = photolala
[storage-policy:0]
name = single
default = yes
"""

BACKEND_CONF = """
[DEFAULT]
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = root
swift_dir = {folder}
log_level = WARNING
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
recon_cache_path = {folder}/cache
"""

PROXY_CONF = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = root
swift_dir = {folder}
cors_allow_origin = *
log_level = WARNING
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth copy slo dlo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
min_segment_size = 5242880
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:symlink]
use = egg:swift#symlink
[filter:dlo]
use = egg:swift#dlo
[filter:copy]
use = egg:swift#copy
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
"""


@contextmanager
def running_s3() -> Iterator[dict[str, str]]:
    """Start the S3 server with an empty bucket; yield the environment that names it, and the bucket for the caches."""
    if os.getuid() != 0:
        raise ServerMissing("The S3 test server (Swift) runs as root only: run the tests as root, or leave S3 out.")
    programs = Path(sys.executable).parent
    if not (programs / "swift-proxy-server").exists():
        raise ServerMissing("Swift is not installed: run `pip install --require-hashes -r requirements-dev.txt`.")
    with server_folder("swift") as folder, ExitStack() as servers:
        _require_extended_attributes(folder)
        (folder / "devices" / "d1").mkdir(parents=True)
        (folder / "cache").mkdir()
        (folder / "swift.conf").write_text(SWIFT_CONF)
        for kind in ("object", "container", "account"):
            port = free_port()
            _make_ring(programs, folder, kind, port)
            servers.enter_context(
                _start(programs, folder, kind, BACKEND_CONF.format(folder=folder, port=port, kind=kind))
            )
        port = free_port()
        proxy = servers.enter_context(_start(programs, folder, "proxy", PROXY_CONF.format(folder=folder, port=port)))
        environment = {
            "PHOTOLALA_S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "PHOTOLALA_S3_REGION": REGION,
            "PHOTOLALA_S3_ACCESS_KEY": ACCESS_KEY,
            "PHOTOLALA_S3_SECRET_KEY": SECRET_KEY,
            "PHOTOLALA_CACHE": f"s3://{BUCKET}/cache",
        }
        client = s3_client(environment)
        wait_until_ready(lambda: client.create_bucket(Bucket=BUCKET), proxy, folder / "proxy.log")
        yield environment


def s3_client(environment: dict[str, str]) -> "boto3.client":
    """Return a boto3 client for the server named by `environment`."""
    return boto3.client(
        "s3",
        endpoint_url=environment["PHOTOLALA_S3_ENDPOINT"],
        region_name=environment["PHOTOLALA_S3_REGION"],
        aws_access_key_id=environment["PHOTOLALA_S3_ACCESS_KEY"],
        aws_secret_access_key=environment["PHOTOLALA_S3_SECRET_KEY"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
    )


def _start(programs: Path, folder: Path, kind: str, configuration: str) -> "running":
    path = folder / f"{kind}.conf"
    path.write_text(configuration)
    return running([str(programs / f"swift-{kind}-server"), str(path)], folder / f"{kind}.log")


def _make_ring(programs: Path, folder: Path, kind: str, port: int) -> None:
    """Tell Swift that the one device of `kind` answers at `port`."""
    builder = [str(programs / "swift-ring-builder"), str(folder / f"{kind}.builder")]
    for arguments in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
        subprocess.run([*builder, *arguments], cwd=folder, capture_output=True, check=True)


def _require_extended_attributes(folder: Path) -> None:
    try:
        os.setxattr(folder, "user.photolala", b"1")
    except OSError as error:
        space = shutil.disk_usage(folder).free
        raise ServerMissing(
            f"The S3 test server keeps its metadata in extended attributes, which {folder.parent} does not take"
            f" ({error.strerror}, {space:,} bytes free). Set TMPDIR to a folder on ext4, xfs or btrfs."
        ) from error
