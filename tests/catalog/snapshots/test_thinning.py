"""Thinning by time: all of the last day, one of each day, one of each month, and never the newest."""

from datetime import UTC, datetime, timedelta

from catalog.snapshots.thinning import Since, thinned

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
SINCE = Since(NOW - timedelta(days=1), NOW - timedelta(days=30), NOW - 12 * timedelta(days=31))


def named(moments):
    """Name each moment by itself, the newest first."""
    dated = {moment.isoformat(): moment for moment in moments}
    return sorted(dated, reverse=True), dated


def test_all_of_a_day_then_one_a_day_then_one_a_month_and_nothing_older() -> None:
    names, dated = named(NOW - timedelta(hours=6 * number) for number in range(4 * 365 * 2))
    kept = [dated[name] for name in thinned(names, dated, SINCE, newest=1)]
    assert kept == sorted(kept, reverse=True)
    assert sum(moment >= SINCE.all for moment in kept) == 5
    daily = [moment for moment in kept if SINCE.daily <= moment < SINCE.all]
    assert len({moment.date() for moment in daily}) == len(daily) == 29
    assert all(moment.hour == 18 for moment in daily if SINCE.daily.date() < moment.date() < SINCE.all.date())
    monthly = [moment for moment in kept if moment < SINCE.daily]
    assert (
        len({(moment.year, moment.month) for moment in monthly}) == len(monthly) == 11
    )  # May and June have younger ones
    assert min(kept) >= SINCE.monthly


def test_the_newest_are_kept_whatever_their_age() -> None:
    names, dated = named(NOW - timedelta(days=1000 + number) for number in range(9))
    assert thinned(names, dated, SINCE, newest=5) == tuple(names[:5])
    assert thinned(names, dated, SINCE, newest=0) == (names[0],)


def test_what_was_restored_is_the_latest_and_keeps_its_date() -> None:
    names, dated = named(NOW - timedelta(hours=number) for number in range(4))
    old = "restored"
    kept = thinned([old, *names], {**dated, old: NOW - timedelta(days=900)}, SINCE, newest=1)
    assert kept == (old, *names)


def test_what_nobody_can_date_stays() -> None:
    assert thinned(["a", "b", "c"], {}, SINCE, newest=1) == ("a", "b", "c")
