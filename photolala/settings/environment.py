"""What an administrator sets: read from the variables PHOTOLALA_…, checked, with defaults (docs/settings.md lists them)."""

import socket
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from photolala.lib.broker_url import broker_url
from photolala.lib.env import BadSetting, Environment, database_from_url
from photolala.lib.machine_zone import machine_time_zone
from photolala.lib.secret_key import secret_key_in

BASE_DIR = Path(__file__).resolve().parents[2]
TESTING = "pytest" in sys.modules
env = Environment()


def _secret_key(folder: Path) -> str:
    """Return PHOTOLALA_SECRET_KEY, or a key made once and kept (mode 0600) in the data folder."""
    given = env.text("PHOTOLALA_SECRET_KEY")
    if given or TESTING:
        return given or "only-for-tests-" + "x" * 50
    path = folder / "secret_key"
    try:
        key = secret_key_in(folder)
    except OSError as error:
        raise ImproperlyConfigured(
            f"PHOTOLALA_DATA={folder} cannot be used: {path} can be neither read nor made ({error.strerror}). Name a folder "
            "that this user may write to."
        ) from None
    if len(key) < 40:
        raise ImproperlyConfigured(f"{path} holds no usable key. Remove it and start again: everybody signs in anew.")
    return key


try:
    DATA_DIR = env.folder("PHOTOLALA_DATA", BASE_DIR / "data")
    DEBUG = env.flag("PHOTOLALA_DEBUG")
    SECRET_KEY = _secret_key(DATA_DIR)
    ALLOWED_HOSTS = env.words("PHOTOLALA_HOSTS") or ["localhost", "127.0.0.1", "[::1]", socket.gethostname()]
    CSRF_TRUSTED_ORIGINS = env.words("PHOTOLALA_TRUSTED_ORIGINS")
    CORS_ORIGINS = env.origins("PHOTOLALA_CORS")
    BEHIND_TLS = env.flag("PHOTOLALA_TLS")
    PROXIES = env.peers("PHOTOLALA_PROXIES")  # whose X-Forwarded-… headers are believed (photolala.web.proxies)
    METRICS_TOKEN = env.token("PHOTOLALA_METRICS_TOKEN")
    METRICS_FROM = env.peers("PHOTOLALA_METRICS_FROM")

    # Folders that may become libraries, ":"-separated; "{username}" stands for the name of the user who asks.
    PHOTO_ROOTS = env.roots("PHOTOLALA_ROOTS")
    CACHE_LOCATION = env.text("PHOTOLALA_CACHE", str(DATA_DIR / "cache"))
    MEDIA_LOCATION = env.text("PHOTOLALA_MEDIA", str(DATA_DIR / "media"))  # what people attach to notes
    CATALOG_COPIES = env.text("PHOTOLALA_CATALOG_COPIES")  # a folder, or s3://bucket/prefix
    CACHE_QUOTA_BYTES = env.size_bytes("PHOTOLALA_CACHE_QUOTA", 10 * 10**9)  # of each shard, for `cache prune`
    EXPORT_DAYS = env.integer("PHOTOLALA_EXPORT_DAYS", 30, least=0, most=36500)  # 0: until they are deleted
    EXPORTS_DIR = env.folder("PHOTOLALA_EXPORTS", DATA_DIR / "exports")
    UPLOADS_DIR = env.folder("PHOTOLALA_UPLOADS", DATA_DIR / "uploads")
    UPLOAD_QUOTA_BYTES = env.size_bytes("PHOTOLALA_UPLOAD_QUOTA", 100 * 10**9)  # of one person's files under way
    S3 = {
        "endpoint_url": env.text("PHOTOLALA_S3_ENDPOINT") or None,
        "region_name": env.text("PHOTOLALA_S3_REGION") or None,
        "access_key": env.text("PHOTOLALA_S3_ACCESS_KEY") or None,
        "secret_key": env.text("PHOTOLALA_S3_SECRET_KEY") or None,
    }
    DECODER_PROCESSES = env.integer("PHOTOLALA_DECODERS", 0, least=0, most=256)  # 0: one per core
    DECODER_MEMORY_MIB = env.integer("PHOTOLALA_DECODER_MB", 176, least=128, most=65536)
    SANDBOX_REQUIRED = env.choice("PHOTOLALA_SANDBOX", "available", ("available", "required")) == "required"
    SCAN_WORKERS = env.integer("PHOTOLALA_SCAN_WORKERS", 1, least=1, most=64)
    WORKER_PROCESSES = env.integer("PHOTOLALA_WORKERS", 2, least=1, most=256)
    WEB_THREADS = env.integer("PHOTOLALA_WEB_THREADS", 32, least=4, most=512)
    SEARCH_SECONDS = env.integer("PHOTOLALA_SEARCH_SECONDS", 10, least=1, most=600)
    HAS_EVENTS = env.flag("PHOTOLALA_EVENTS")  # an events process runs, and the proxy leads to it
    ACCEL_PREFIX = env.text("PHOTOLALA_ACCEL")  # nginx: internal location whose root is /
    DATABASES = {
        "default": database_from_url(
            env.url("PHOTOLALA_DATABASE", ("postgresql", "postgres")),
            DATA_DIR / "photolala.sqlite3",
            "photolala.web.sqlite",
        )
    }
    CELERY_BROKER_URL = env.text("PHOTOLALA_BROKER") or broker_url(str(DATA_DIR / "broker.sqlite3"))
    redis_cache = env.url("PHOTOLALA_REDIS_CACHE", ("redis", "rediss"))
    SYNC_RESOLVERS = env.pairs("PHOTOLALA_SYNC_RESOLVERS")  # "note.content" -> name of a resolver (docs/sync.md)
    TIME_ZONE = env.time_zone("PHOTOLALA_TIME_ZONE", "UTC" if TESTING else machine_time_zone())  # of new libraries
    LOG_LEVEL = env.choice("PHOTOLALA_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
    KEEP_SNAPSHOTS = (  # days of which all are kept, days of which one is, months of which one is
        env.integer("PHOTOLALA_KEEP_SNAPSHOTS_DAYS", 1, least=0, most=36500),
        env.integer("PHOTOLALA_KEEP_SNAPSHOTS_DAILY", 30, least=0, most=36500),
        env.integer("PHOTOLALA_KEEP_SNAPSHOTS_MONTHLY", 12, least=0, most=1200),
    )
    KEEP_OPERATIONS_DAYS = env.integer("PHOTOLALA_KEEP_OPERATIONS_DAYS", 30, least=1, most=36500)
    OPERATION_LEASE_SECONDS = env.integer("PHOTOLALA_LEASE_SECONDS", 60, least=5, most=3600)
except BadSetting as error:
    raise ImproperlyConfigured(str(error)) from None
