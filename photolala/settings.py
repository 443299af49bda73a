"""All of Photolala's settings, read from PHOTOLALA_… environment variables (docs/settings.md lists them)."""

import socket
import sys
from pathlib import Path

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from photolala.lib.broker_url import broker_url
from photolala.lib.env import BadSetting, Environment, database_from_url
from photolala.lib.secret_key import secret_key_in
from photolala.web import cors

BASE_DIR = Path(__file__).resolve().parent.parent
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
    HAS_EVENTS = env.flag("PHOTOLALA_EVENTS")  # an events process runs, and the proxy leads to it
    ACCEL_PREFIX = env.text("PHOTOLALA_ACCEL")  # nginx: internal location whose root is /
    DATABASES = {
        "default": database_from_url(
            env.url("PHOTOLALA_DATABASE", ("postgresql", "postgres")), DATA_DIR / "photolala.sqlite3"
        )
    }
    CELERY_BROKER_URL = env.text("PHOTOLALA_BROKER") or broker_url(str(DATA_DIR / "broker.sqlite3"))
    _redis_cache = env.url("PHOTOLALA_REDIS_CACHE", ("redis", "rediss"))
    SYNC_RESOLVERS = env.pairs("PHOTOLALA_SYNC_RESOLVERS")  # "note.content" -> name of a resolver (docs/sync.md)
    TIME_ZONE = env.time_zone("PHOTOLALA_TIME_ZONE", "UTC")  # the zone that new libraries start with
    LOG_LEVEL = env.choice("PHOTOLALA_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
except BadSetting as error:
    raise ImproperlyConfigured(str(error)) from None

INSTALLED_APPS = [
    "accounts",
    "operations",
    "changes",
    "catalog",
    "exports",
    "sync",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "csp",
    "django_htmx",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "photolala.web.proxies.ProxyMiddleware",
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ORIGINS else []),
    "photolala.web.answers.ApiProblemsMiddleware",
    "photolala.web.answers.PrivateMiddleware",
    "photolala.web.encoded_bodies.EncodedBodyMiddleware",
    "photolala.web.compression.CompressionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "photolala.web.answers.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "photolala.web.outage_middleware.OutageMiddleware",
]
ROOT_URLCONF = "photolala.urls"
WSGI_APPLICATION = "photolala.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "operations.context_processors.running_operations",
            ]
        },
    }
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "catalog:timeline"
LOGOUT_REDIRECT_URL = "accounts:login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _redis_cache.geturl()}
    if _redis_cache
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

USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
USE_THOUSAND_SEPARATOR = False
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if BEHIND_TLS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
CORS_ALLOW_ALL_ORIGINS = CORS_ORIGINS == ["*"]
CORS_ALLOWED_ORIGINS = [] if CORS_ALLOW_ALL_ORIGINS else CORS_ORIGINS
CORS_ALLOW_CREDENTIALS = False  # apps send tokens: a page of another origin never acts with somebody's cookie
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_METHODS, CORS_ALLOW_HEADERS, CORS_EXPOSE_HEADERS = cors.METHODS, cors.SENT, cors.READ
CORS_PREFLIGHT_MAX_AGE = cors.KEEP_SECONDS
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.DeviceTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "photolala.web.schema.Schema",
    "EXCEPTION_HANDLER": "photolala.web.problems.handle_exception",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "DEFAULT_THROTTLE_RATES": {"sign_in": "10/min"},
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
KNOX_TOKEN_MODEL = "knox.AuthToken"  # noqa: S105
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Photolala",
    "DESCRIPTION": "The API for phones, scripts and other Photolala servers.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "OperationState": "operations.models.State",
        "PhotoState": "catalog.models.Photo.State",
        "MemberRole": "catalog.models.Membership.Role",
        "OwnRole": ["owner", "editor", "viewer"],
        "NoteType": "catalog.models.Note.Type",
        "BlockType": "catalog.albums.drafts.TYPES",
        "WriteKind": "catalog.models.FileWrite.Kind",
        "ImportKind": "catalog.models.Import.Kind",
        "ProblemType": "photolala.web.problem_types.CHOICES",
        "ImportItemState": "catalog.models.ImportItem.State",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "photolala.web.schema.size_integers",
    ],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_LOST_WAIT = 1.0  # seconds until a killed child's message is delivered again
CELERY_WORKER_CONCURRENCY = WORKER_PROCESSES
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # a traceback would come a character to a line
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a broker may be away for a night
CELERY_TASK_DEFAULT_QUEUE = "files"
CELERY_TASK_ROUTES = {
    name: {"queue": "files"} for name in ("operations.*", "changes.*", "catalog.*", "exports.*", "sync.*")
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "photolala.broker.timetable:Timetable"
CELERY_BEAT_SCHEDULE = {  # in seconds
    "enqueue unfinished operations again": {
        "task": "operations.tasks.sweep",
        "schedule": 20.0,
        "options": {"expires": 19.0},  # without a worker the messages would pile up
    },
    "forget operations that ended long ago": {
        "task": "operations.tasks.purge",
        "schedule": 6 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "delete the files of expired exports": {
        "task": "exports.tasks.purge_exports",
        "schedule": 6 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "collect old tombstones": {
        "task": "changes.tasks.collect_tombstones",
        "schedule": 24 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "keep the cache in its quota": {
        "task": "catalog.tasks.keep_quota",
        "schedule": 6 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "forget the hashes of files that are gone": {
        "task": "catalog.tasks.prune_hashes",
        "schedule": 24 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "start the scans for which it is time": {
        "task": "catalog.tasks.scan_what_is_due",
        "schedule": 60.0,
        "options": {"expires": 59.0},
    },
    "import what waits": {
        "task": "catalog.tasks.import_what_waits",
        "schedule": 60.0,
        "options": {"expires": 59.0},
    },
    "empty the trash of what has been there long enough": {
        "task": "catalog.tasks.empty_trash",
        "schedule": 600.0,
        "options": {"expires": 599.0},
    },
    "delete albums and notes that have been in the trash long enough": {
        "task": "catalog.tasks.empty_trash_of_albums",
        "schedule": 3600.0,
        "options": {"expires": 3600.0},
    },
    "remove uploads that were given up": {
        "task": "catalog.tasks.forget_old_uploads",
        "schedule": 3600.0,
        "options": {"expires": 3600.0},
    },
    "resume what stopped because the cache was away": {
        "task": "catalog.tasks.go_on",
        "schedule": 60.0,
        "options": {"expires": 59.0},
    },
    "forget what devices pushed long ago": {
        "task": "sync.tasks.forget_old_mutations",
        "schedule": 24 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "write into files what waited for its time": {
        "task": "catalog.tasks.write_what_is_due",
        "schedule": 60.0,
        "options": {"expires": 59.0},
    },
}
KEEP_SNAPSHOTS = (  # days of which all are kept, days of which one is, months of which one is
    env.integer("PHOTOLALA_KEEP_SNAPSHOTS_DAYS", 1, least=0, most=36500),
    env.integer("PHOTOLALA_KEEP_SNAPSHOTS_DAILY", 30, least=0, most=36500),
    env.integer("PHOTOLALA_KEEP_SNAPSHOTS_MONTHLY", 12, least=0, most=1200),
)
KEEP_OPERATIONS_DAYS = env.integer("PHOTOLALA_KEEP_OPERATIONS_DAYS", 30, least=1, most=36500)
OPERATION_LEASE_SECONDS = env.integer("PHOTOLALA_LEASE_SECONDS", 60, least=5, most=3600)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "watchfiles": {"level": "WARNING"},
    },
}
