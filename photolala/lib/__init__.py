"""Pure Python for all apps: no Django, no Celery."""
