"""Rights that end: members who leave, staff who may only look, and the one door that counts wrong passwords."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.attempts import PER_NAME_AND_ADDRESS
from catalog.libraries.members import remove_member, set_member
from catalog.scanning.requests import start_scan
from operations import control
from operations.models import Operation, State
from tests.factories import PASSWORD, make_user

from .conftest import Cast, client_of


@pytest.mark.usefixtures("no_bell")
@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.FAILED, State.INTERRUPTED, State.CANCELLED])
@pytest.mark.parametrize("becomes", ["viewer", "nothing"])
def test_who_is_no_editor_any_more_cannot_go_on_scanning(cast: Cast, state: str, becomes: str) -> None:
    operation = start_scan(cast.library, cast.dora)
    Operation.objects.filter(pk=operation.pk).update(state=state)
    if becomes == "viewer":
        set_member(cast.library, cast.dora, "viewer")
    else:
        remove_member(cast.library, cast.dora)
    operation.refresh_from_db()
    assert operation.state != State.PENDING
    assert operation.cancel_requested is (state == State.RUNNING)
    dora = client_of(cast.dora)
    dora.post(reverse("operations:resume", args=[operation.pk]))
    answer = dora.post(f"/api/v1/operations/{operation.pk}/resume/", {}, content_type="application/json")
    assert answer.status_code == 409
    operation.refresh_from_db()
    assert operation.state not in (State.PENDING, State.INTERRUPTED) or operation.superseded
    if operation.state != State.RUNNING:  # the owner's own scan is not in anybody's way
        assert start_scan(cast.library, cast.alice).state == State.PENDING


@pytest.mark.usefixtures("no_bell")
def test_scans_of_others_go_on_when_a_member_leaves(cast: Cast) -> None:
    operation = start_scan(cast.library, cast.alice)
    remove_member(cast.library, cast.dora)
    set_member(cast.library, cast.bob, "viewer")
    operation.refresh_from_db()
    assert (operation.state, operation.superseded) == (State.PENDING, False)
    control.cancel(operation)


def test_members_are_not_told_who_the_others_are(alice: Client, bob: Client, dora: Client, cast: Cast) -> None:
    address = reverse("catalog:library-about", args=[cast.library.pk])
    assert "dora" in alice.get(address).content.decode()
    assert "dora" not in bob.get(address).content.decode()
    assert "bob" not in dora.get(address).content.decode()


def test_names_with_nul_are_nobodys(alice: Client, cast: Cast) -> None:
    for name in ("library-member", "library-member-remove"):
        address = reverse(f"catalog:{name}", args=[cast.library.pk])
        assert alice.post(address, {"username": "nobo\0dy", "role": "viewer"}).status_code in (302, 422)


def staff(*permissions: str) -> Client:
    user = make_user("helper", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return client_of(user)


@pytest.mark.usefixtures("no_bell")
@pytest.mark.parametrize(("extra", "is_allowed"), [((), False), (("change_operation", "change_library"), True)])
def test_staff_who_may_only_look_stop_and_start_nothing(cast: Cast, extra: tuple[str, ...], is_allowed: bool) -> None:
    helper = staff("view_operation", "view_library", *extra)
    operation = start_scan(cast.library, cast.alice)
    chosen = {"_selected_action": [str(operation.pk)], "action": "cancel"}
    helper.post(reverse("admin:operations_operation_changelist"), chosen)
    operation.refresh_from_db()
    assert (operation.state == State.CANCELLED) is is_allowed
    Operation.objects.all().delete()
    chosen = {"_selected_action": [str(cast.library.pk)], "action": "scan"}
    helper.post(reverse("admin:catalog_library_changelist"), chosen)
    assert Operation.objects.exists() is is_allowed


def test_the_admin_has_no_door_of_its_own(anonymous: Client, bob: Client) -> None:
    root = make_user("root", is_staff=True, is_superuser=True)
    answer = anonymous.get(reverse("admin:index"), follow=True)
    assert answer.resolver_match.view_name == "accounts:login"
    for _ in range(PER_NAME_AND_ADDRESS.free):
        anonymous.post(answer.request["PATH_INFO"], {"username": "root", "password": "wrong"})
    for address in (reverse("admin:login"), reverse("accounts:login")):
        anonymous.post(address, {"username": "root", "password": PASSWORD})
        assert "_auth_user_id" not in anonymous.session
    assert bob.get(reverse("admin:index"), follow=True).status_code == 403
    assert client_of(root).get(reverse("admin:index")).status_code == 200


def test_signing_in_leads_on_to_the_admin(anonymous: Client) -> None:
    make_user("root", is_staff=True, is_superuser=True)
    asked = anonymous.get(reverse("admin:index"), follow=True)
    address = asked.redirect_chain[-1][0]
    form = {"username": "root", "password": PASSWORD, "next": asked.context["next"]}
    answer = anonymous.post(address, form, follow=True)
    assert answer.request["PATH_INFO"] == reverse("admin:index")
