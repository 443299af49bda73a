"""`first_user`: create the administrator, once."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.first_user import BadFirstUser, create_first_user


class Command(BaseCommand):
    """Creates the administrator from PHOTOLALA_ADMIN=name:password, or with a random password printed once."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the password if one was made; do nothing if a user exists."""
        try:
            created = create_first_user(os.environ.get("PHOTOLALA_ADMIN", ""))
        except BadFirstUser as error:
            raise CommandError(str(error)) from None
        if created is None:
            return
        user, password = created
        if password:
            self.stdout.write(f"First user: {user.username}   password: {password}   (shown only now)")
        else:
            self.stdout.write(f"First user: {user.username}")
