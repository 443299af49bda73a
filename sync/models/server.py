"""Server: the name under which devices keep what they have of this server."""

import uuid

from django.db import models


class Server(models.Model):
    """There is one row; it goes with the database, wherever that is restored."""

    number = models.PositiveSmallIntegerField(primary_key=True, default=1)
    name = models.UUIDField(default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.name)
