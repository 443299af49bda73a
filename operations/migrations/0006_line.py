"""Operations that wait in line: of those that name the same one, one runs at a time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "0005_enqueued_at")]
    operations = [
        migrations.AddField(
            "operation",
            "line",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of those that name the same line one runs at a time, in the order in which they were made.",
                max_length=100,
            ),
        ),
        migrations.AddIndex(
            "operation",
            models.Index(
                condition=models.Q(("state__in", ["pending", "running"]), models.Q(("line", ""), _negated=True)),
                fields=["line", "created_at"],
                name="operation_line",
            ),
        ),
        migrations.AddConstraint(
            "operation",
            models.UniqueConstraint(
                condition=models.Q(("state", "running"), models.Q(("line", ""), _negated=True)),
                fields=["line"],
                name="one_running_operation_per_line",
            ),
        ),
    ]
