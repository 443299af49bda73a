"""The project package: settings, routes, the Celery application, and helpers that know no app."""
