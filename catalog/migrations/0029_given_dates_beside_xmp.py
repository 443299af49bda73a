"""Dates that people gave and that were written into photos with an XMP file beside them are held from now on.

Until now the photo's own date counted before the XMP file's, and the latter was not written along; now it counts first. So
that no given date gives way to an older one in such a file, the catalog keeps it.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def hold_given_dates(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    photos = apps.get_model("catalog", "Photo").objects.filter(dated_at__isnull=False, taken_held=False)
    photos.filter(taken_source__in=("exif", "xmp", "quicktime")).exclude(sidecars="").update(taken_held=True)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0028_estimated_dates")]

    operations = [migrations.RunPython(hold_given_dates, migrations.RunPython.noop)]
