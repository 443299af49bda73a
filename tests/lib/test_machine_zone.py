"""The zone that new libraries start with is the machine's."""

from pathlib import Path

import pytest

from photolala.lib.machine_zone import machine_time_zone


@pytest.mark.parametrize(
    ("named", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":America/New_York", "America/New_York"),
        ("/usr/share/zoneinfo/Asia/Kathmandu", "Asia/Kathmandu"),
        ("right/Europe/Paris", "Europe/Paris"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "UTC"),
        ("Etc/UTC", "UTC"),
        ("../../etc/passwd", "UTC"),
    ],
)
def test_the_environment_counts_first(named: str, zone: str, tmp_path: Path) -> None:
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert machine_time_zone({"TZ": named}, tmp_path) == zone


def test_then_the_files_of_the_system(tmp_path: Path) -> None:
    assert machine_time_zone({}, tmp_path) == "UTC"
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert machine_time_zone({}, tmp_path) == "Asia/Tokyo"
    zone = tmp_path / "zoneinfo/Europe/Lisbon"
    zone.parent.mkdir(parents=True)
    zone.write_bytes(b"")
    (tmp_path / "localtime").symlink_to(zone)
    assert machine_time_zone({"TZ": " "}, tmp_path) == "Europe/Lisbon"
