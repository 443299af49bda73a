"""Update the installation that the environment names, do what waits in it as its first worker does, and print the outcome."""

import json
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import User  # noqa: E402
from catalog.edits.undo import undo_last  # noqa: E402
from catalog.files.trash import restore_items  # noqa: E402
from catalog.models import Favourite, FileWrite, Library, Photo, TrashItem  # noqa: E402
from operations.models import Operation  # noqa: E402
from photolala.celery import app  # noqa: E402

QUEUES = ("scan", "files", "export")


def deliver_messages() -> list[str]:
    """Run each task for which a message waits, by the name in the message, until none waits; return the names."""
    names = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        while message := next(filter(None, map(channel.basic_get, QUEUES)), None):
            names.append(message.headers["task"])
            positional, named, _ = message.payload
            app.tasks[names[-1]](*positional, **named)
            message.ack()
    return names


call_command("migrate", verbosity=0)
app.loader.import_default_modules()
app.select_queues(QUEUES)  # as `celery worker -Q` does
told = {"delivered": deliver_messages()}
library = Library.objects.get()
told["operations"] = sorted(Operation.objects.values_list("kind", "state", "error"))
told["photos"] = {photo.filename: (photo.state, photo.rating, photo.rating_held) for photo in Photo.objects.all()}
told["ids"] = {photo.filename: str(photo.pk) for photo in Photo.objects.all()}
told["writes"] = sorted(FileWrite.objects.values_list("photo__filename", "state"))
told["favourites"] = list(Favourite.objects.filter(user__username="bob").values_list("photo__filename", "rating"))
told["snapshot"] = library.snapshot_md5
undo_last(Photo.objects.get(filename="IMG_0.JPG"), library.owner)
restored = restore_items(library.owner, library, list(TrashItem.objects.values_list("pk", flat=True)))
told["restored"] = (restored.count, restored.errors)
told["delivered_later"] = deliver_messages()
told["after_undo"] = Photo.objects.get(filename="IMG_0.JPG").photo_md5
client = Client()
client.force_login(User.objects.get(username="bob"))
told["seen_by_bob"] = len(client.get("/api/v1/photos/", {"library": library.pk}).json()["results"])
print(json.dumps(told))
