"""Numbers for people, and the contrast of the colours."""

import gzip
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from operations.templatetags import figures

TOKENS = Path(__file__).parents[2] / "static" / "css" / "tokens.css"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_500, "1.0 MB")]
    + [(41_234_567_890, "41.2 GB"), (10**15, "1.0 PB"), (5 * 10**18, "5,000 PB"), (None, ""), ("x", "")],
)
def test_sizes(value, text):
    assert figures.file_size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3_599, "59 min"), (3_725, "1 h 2 min")]
    + [(86_400, "1 day"), (180_000, "2 days 2 h"), (-3, "0 s")],
)
def test_durations(seconds, text):
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1, "files", "1 file"),
        (0, "photos", "0 photos"),
        (12_340, "files", "12,340 files"),
        (1, "copies", "1 copy"),
        (3, "", "3"),
    ],
)
def test_units_follow_their_number(value, unit, text):
    assert figures.in_units(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (50, "1 minute ago"), (185, "3 minutes ago"), (7_300, "2 hours ago"), (90_000, "1 day ago")]
    + [(5_300_000, "2 months ago"), (70_000_000, "2 years ago"), (-100, "just now")],
)
def test_ages(seconds, text):
    assert figures.age(timezone.now() - timedelta(seconds=seconds)) == text


def test_an_age_tells_the_full_time_too():
    moment = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
    assert figures.ago(moment).startswith(
        '<time datetime="2024-05-17T12:30:00+00:00" title="2024-05-17 12:30 UTC">2 years ago</time>'
    )
    assert figures.ago(None) == "never"


def test_counts_rates_and_percents():
    assert figures.number(12_340) == "12,340"
    assert figures.counted(1, "photo,photos") == "1 photo"
    assert figures.counted(12_340, "photo,photos") == "12,340 photos"
    assert (figures.rate(0.3), figures.rate(4.25), figures.rate(1_234.5)) == (
        "18 photos/min",
        "4.2 photos/s",
        "1,234 photos/s",
    )
    assert (figures.percent(0.999), figures.percent(1.0), figures.percent(None)) == ("99 %", "100 %", "")
    assert (figures.clock(400), figures.clock(754_000), figures.clock(3_723_000)) == ("0:01", "12:34", "1:02:03")
    assert figures.age(None) == "never"


def luminance(colour):
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours():
    """Return name -> (light, dark) of all colours in tokens.css."""
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS.read_text())
    return {name: (light, dark) for name, light, dark in found}


PAIRS = [
    *[(text, ground) for text in ("text", "muted") for ground in ("page", "surface", "raised", "hover")],
    *[(text, ground) for text in ("accent", "danger") for ground in ("page", "surface", "raised", "hover")],
    ("accent-strong", "page"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    *[(text, "accent-soft") for text in ("on-accent-soft", "text", "muted")],
    ("good", "good-soft"),
    ("warning", "warning-soft"),
    ("danger", "danger-soft"),
    *[("text", f"{kind}-soft") for kind in ("good", "warning", "danger")],
    *[("accent", f"{kind}-soft") for kind in ("warning", "danger")],
    ("danger", "warning-soft"),
    ("page", "text"),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_words_can_be_read_in_light_and_dark(text, ground, theme):
    known = colours()
    assert contrast(known[text][theme], known[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "surface", "raised"])
def test_the_edges_of_controls_and_the_focus_can_be_seen(ground, theme):
    known = colours()
    assert contrast(known["control-line"][theme], known[ground][theme]) >= 3
    assert contrast(known["accent"][theme], known[ground][theme]) >= 3


def test_no_other_style_sheet_of_the_pages_names_a_colour():
    for name in ("base.css", "pages.css"):
        text = re.sub(r"/\*.*?\*/", "", (TOKENS.parent / name).read_text(), flags=re.DOTALL)
        assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;, )])|\brgba?\(|\bhsl", text)


def test_our_styles_and_scripts_stay_small():
    """The budget is that of one page: the timeline, with the open photo, has more of them than any other."""
    static, templates = TOKENS.parents[1], TOKENS.parents[2] / "templates"
    pages = ("base.html", "_navigation.html", "catalog/_timeline_head.html", "catalog/timeline.html")
    text = "".join((templates / name).read_text() for name in pages)
    names = {name for name in re.findall(r"{% static '([^']+\.(?:css|js))' %}", text) if not name.startswith("vendor/")}
    assert len(names) >= 30
    assert sum(len(gzip.compress((static / name).read_bytes())) for name in names) <= 80_000
    everything = [path for path in static.rglob("*") if path.suffix in (".css", ".js") and "vendor" not in path.parts]
    assert sum(len(gzip.compress(path.read_bytes())) for path in everything) <= 90_000
