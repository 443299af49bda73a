"""All of Photolala's settings. What an administrator may set is read in `environment`; the others are put together from it."""

from photolala.settings.api import *
from photolala.settings.environment import *
from photolala.settings.environment import BASE_DIR, CORS_ORIGINS, LOG_LEVEL
from photolala.settings.security import *
from photolala.settings.storages import *
from photolala.settings.tasks import *

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
    "photolala.web.problem_pages.FormAddressMiddleware",
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
USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
USE_THOUSAND_SEPARATOR = False

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
