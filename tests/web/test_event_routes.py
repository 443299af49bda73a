"""What the process that tells of changes refuses, before it asks anybody or anything."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient


@pytest.mark.parametrize("method", ["POST", "QUERY", "TRACE", "DELETE"])
@pytest.mark.parametrize("address", ["/api/v1/events/", "/api/v1/sync/events/"])
def test_other_verbs_are_refused_by_name_also_from_a_page_of_ours(settings, address, method):
    settings.ROOT_URLCONF = "photolala.events_urls"
    client = AsyncClient(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = "of a page"

    async def ask():
        return await client.generic(method, address)

    refused = async_to_sync(ask)()
    assert (refused.status_code, refused["Allow"]) == (405, "GET")
    assert refused["Content-Type"] == "application/problem+json" and refused.json()["status"] == 405
