"""Django-aware helpers that all apps share and that know no app."""
