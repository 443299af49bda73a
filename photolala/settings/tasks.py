"""Celery: how messages are sent and taken, and what is done on a schedule."""

from photolala.settings.environment import WORKER_PROCESSES

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
    "export to the destinations for which it is time": {
        "task": "exports.tasks.start_due_exports",
        "schedule": 60.0,
        "options": {"expires": 59.0},
    },
    "delete the files of expired exports": {
        "task": "exports.tasks.purge_exports",
        "schedule": 6 * 3600.0,
        "options": {"expires": 3600.0},
    },
    "make the backups that are due": {
        "task": "exports.tasks.make_backups",
        "schedule": 3600.0,
        "options": {"expires": 1800.0},
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
    "index the words of what changed": {
        "task": "catalog.tasks.index_words",
        "schedule": 60.0,
        "options": {"expires": 59.0},
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
