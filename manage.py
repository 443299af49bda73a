#!/usr/bin/env python
"""Run Photolala's commands: `python manage.py help`."""

import os
import sys


def main() -> None:
    """Hand the command line to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except Exception as error:
        from operations.reasons import reason_for  # commands load Django first

        known = reason_for(error)
        if known is None or "--traceback" in sys.argv:
            raise
        sys.exit(known[0])


if __name__ == "__main__":
    main()
