"""What travels with photos (XMP, AAE, Takeout's JSON) may go along into a destination."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0006_schedules"),
    ]

    operations = [
        migrations.AddField(
            model_name="exportdestination",
            name="with_companions",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Also what is beside photos: XMP, AAE and Takeout's JSON."
            ),
        ),
    ]
