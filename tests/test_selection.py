"""What a second run on other servers leaves out cannot depend on them."""

import pytest
from django.core.files.storage import storages

from photolala.celery import app
from tests.installations import server_of_the_run
from tests.selection import NeedsServers


def test_a_test_that_is_marked_once_cannot_use_what_differs_between_the_runs(request):
    assert request.node.get_closest_marker("once")
    for use in (lambda: storages["cache"], lambda: app.send_task("operations.run"), server_of_the_run):
        with pytest.raises(NeedsServers):
            use()
    assert storages["staticfiles"]


def test_nor_ask_for_the_database_while_it_runs(request):
    with pytest.raises(NeedsServers):
        request.getfixturevalue("transactional_db")


@pytest.mark.django_db
def test_a_test_with_the_database_is_repeated(request):
    assert not request.node.get_closest_marker("once") and storages["cache"]


def test_a_test_whose_fixture_has_the_database_is_repeated(request, alice):
    assert not request.node.get_closest_marker("once")


@pytest.mark.repeated
def test_a_test_that_says_so_is_repeated(request):
    assert not request.node.get_closest_marker("once")
    server_of_the_run()


@pytest.mark.one_database
@pytest.mark.django_db
def test_a_test_that_needs_only_one_database_is_not_repeated_and_may_use_it(request):
    assert request.node.get_closest_marker("once") and storages["cache"]
    request.getfixturevalue("alice")
