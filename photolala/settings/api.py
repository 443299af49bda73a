"""The API: REST framework, tokens, and the published schema."""

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
        "ExportBodyStatusEnum": "exports.api.exports.WORDS",
        "BackupScope": "exports.models.Scope",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "photolala.web.schema.size_integers",
    ],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}
