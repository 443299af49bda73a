"""Where files and objects are kept: cache, attached media, static files; and the cache of Django."""

from photolala.settings.environment import (
    BASE_DIR,
    CACHE_LOCATION,
    DATA_DIR,
    DEBUG,
    MEDIA_LOCATION,
    S3,
    TESTING,
    redis_cache,
)

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_cache.geturl()}
    if redis_cache
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}


def _object_storage(location: str) -> dict[str, object]:
    """Return django-storages' settings for a tree of objects: a folder, or `s3://bucket/prefix`."""
    if not location.startswith("s3://"):
        return {"BACKEND": "catalog.cache.storage.AtomicFolderStorage", "OPTIONS": {"location": location}}
    from botocore.config import Config

    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            **{key: value for key, value in S3.items() if value},
            "bucket_name": bucket,
            "location": prefix,
            "file_overwrite": True,
            # People wait for thumbnails: a store that does not answer is soon called away.
            "client_config": Config(
                s3={"addressing_style": "path"},
                connect_timeout=5,
                read_timeout=20,
                retries={"total_max_attempts": 3},
            ),
            "default_acl": None,
            "querystring_auth": True,
        },
    }


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(DATA_DIR)}},
    "cache": _object_storage(CACHE_LOCATION),
    "media": _object_storage(MEDIA_LOCATION),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if TESTING or DEBUG
        else "photolala.web.static_compression.StaticStorage"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
