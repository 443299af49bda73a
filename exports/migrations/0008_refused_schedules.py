"""What could not be done is kept for whom it concerns: by schedules, and of what a restored backup says."""

from django.db import migrations, models

_OF_EXPORT = "Why the schedule could not begin an export; empty: it could."
_OF_BACKUP = "Why the schedule could not begin the last one; empty: it could."

_OF_WAITING = "The photo is here, in a library that the person may not change."


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0007_companions"),
    ]

    operations = [
        migrations.AddField(
            model_name="exportdestination",
            name="refusal",
            field=models.TextField(blank=True, db_default="", help_text=_OF_EXPORT),
        ),
        migrations.AddField(
            model_name="exportdestination",
            name="refused_at",
            field=models.DateTimeField(blank=True, null=True, help_text="Since when that is so."),
        ),
        migrations.AddField(
            model_name="backupschedule",
            name="refusal",
            field=models.TextField(blank=True, db_default="", help_text=_OF_BACKUP),
        ),
        migrations.AddField(
            model_name="waitingfacts",
            name="is_refused",
            field=models.BooleanField(default=False, db_default=False, help_text=_OF_WAITING),
        ),
    ]
