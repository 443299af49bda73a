"""Exports to a destination may begin by themselves, every day or every week; a destination may be in a bucket."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exports", "0005_restores"),
    ]

    operations = [
        migrations.AddField(
            model_name="exportdestination",
            name="schedule",
            field=models.CharField(
                blank=True,
                choices=[("", "never"), ("daily", "every day"), ("weekly", "every week")],
                db_default="",
                default="",
                max_length=6,
            ),
        ),
        migrations.AddField(
            model_name="exportdestination",
            name="schedule_hour",
            field=models.PositiveSmallIntegerField(db_default=3, default=3, help_text="By the server's clock."),
        ),
        migrations.AddField(
            model_name="exportdestination",
            name="schedule_weekday",
            field=models.PositiveSmallIntegerField(
                choices=[
                    (0, "Monday"),
                    (1, "Tuesday"),
                    (2, "Wednesday"),
                    (3, "Thursday"),
                    (4, "Friday"),
                    (5, "Saturday"),
                    (6, "Sunday"),
                ],
                db_default=0,
                default=0,
                help_text="Of a weekly export.",
            ),
        ),
        migrations.AddField(
            model_name="exportdestination",
            name="scheduled_since",
            field=models.DateTimeField(blank=True, help_text="When the schedule was set.", null=True),
        ),
        migrations.AlterField(
            model_name="exportdestination",
            name="folder",
            field=models.TextField(help_text="Its absolute path, or s3://bucket/prefix, in escaped form.", unique=True),
        ),
        migrations.AddConstraint(
            model_name="exportdestination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("schedule__in", ["", "daily", "weekly"]), ("schedule_hour__lte", 23), ("schedule_weekday__lte", 6)
                ),
                name="destination_schedule_is_known",
            ),
        ),
    ]
