"""The stars that owners gave before files were written become the photos' ratings, kept in the database until starred again."""

from typing import Any

from django.db import migrations


def hold_owner_stars(apps: Any, schema_editor: Any) -> None:
    """Copy them. A scan does not overwrite them, and no file is touched without a person's new word."""
    photo, favourite = apps.get_model("catalog", "Photo"), apps.get_model("catalog", "Favourite")
    library = apps.get_model("catalog", "Library")
    for library_id, owner_id in library.objects.values_list("pk", "owner_id"):
        own = favourite.objects.filter(user_id=owner_id, photo__library_id=library_id)
        for stars in range(1, 6):
            rated = own.filter(rating=stars).values("photo_id")
            photo.objects.filter(pk__in=rated).exclude(rating=stars).update(rating=stars, rating_held=True)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_write_into_files")]

    operations = [migrations.RunPython(hold_owner_stars, migrations.RunPython.noop, elidable=False)]
