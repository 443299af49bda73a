"""Members and settings of a library: the owner's alone. Everybody else gets 404."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.requests import HttpRequest
from catalog.libraries import forget as libraries_forget
from catalog.libraries import members as libraries_members
from catalog.libraries.relocate import relocate
from catalog.libraries.settings import SETTINGS, SettingRefused, change
from catalog.libraries.waiting import waiting_in, waiting_of
from catalog.models import Library, Membership
from catalog.roots import folders

from .frame import owned_frame
from .time_zones import time_zone_names


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    """Name, time zone, ratings policy, what becomes of the files' times, and when the library is scanned by itself."""

    file_times = forms.ChoiceField(choices=Library.FileTimes.choices, required=False)
    scan_every_hours = forms.TypedChoiceField(choices=Library.ScanEvery.choices, coerce=int, required=False)
    verify_every_days = forms.TypedChoiceField(choices=Library.VerifyEvery.choices, coerce=int, required=False)
    trash_days = forms.TypedChoiceField(choices=Library.TrashDays.choices, coerce=int, required=False)
    is_watched = forms.TypedChoiceField(choices=[("1", "yes"), ("0", "no")], required=False)

    class Meta:
        model = Library
        fields = SETTINGS

    def clean_file_times(self) -> str:
        """Leave it as it is if the form does not say."""
        return str(self.cleaned_data["file_times"] or self.instance.file_times)

    def clean_scan_every_hours(self) -> int:
        """Leave it as it is if the form does not say."""
        wanted = self.cleaned_data["scan_every_hours"]
        return int(self.instance.scan_every_hours if wanted == "" else wanted)

    def clean_verify_every_days(self) -> int:
        """Leave it as it is if the form does not say."""
        wanted = self.cleaned_data["verify_every_days"]
        return int(self.instance.verify_every_days if wanted == "" else wanted)

    def clean_trash_days(self) -> int:
        """Leave it as it is if the form does not say."""
        wanted = self.cleaned_data["trash_days"]
        return int(self.instance.trash_days if wanted == "" else wanted)

    def clean_is_watched(self) -> bool:
        """Leave it as it is if the form does not say."""
        wanted = self.cleaned_data["is_watched"]
        return wanted == "1" if wanted else bool(self.instance.is_watched)


@login_required
@require_GET
def show_settings(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show the settings, the members, and how to forget the library."""
    frame = owned_frame(request, library_id, "settings")
    return _page(request, frame, SettingsForm(instance=frame["library"]))


@login_required
@require_POST
def save_settings(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Save name, time zone and ratings policy. The time zone counts from the next reading of a file."""
    frame = owned_frame(request, library_id, "settings")
    form = SettingsForm(request.POST, instance=Library.objects.get(pk=library_id))
    if not form.is_valid():
        return _page(request, frame, form, status=422)
    try:
        change(Library.objects.get(pk=library_id), **form.cleaned_data)
    except SettingRefused as refused:
        form.add_error(refused.name, str(refused))
        return _page(request, frame, form, status=422)
    messages.success(request, "Saved.")
    return redirect("catalog:library-settings", library_id)


@login_required
@require_POST
def save_member(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Add a member by user name, or change the role of one."""
    frame = owned_frame(request, library_id, "settings")
    username, role = _username(request), request.POST.get("role", "")
    member = User.objects.filter(username=username, is_active=True).first()
    try:
        if member is None:
            raise folders.LibraryRefused(
                f"There is no user called “{username[:150]}” here. Write the name they sign in with."
            )
        waiting = waiting_of(member, frame["library"])
        libraries_members.set_member(frame["library"], member, role)
    except folders.LibraryRefused as refused:
        form = SettingsForm(instance=frame["library"])
        return _page(request, frame, form, status=422, member_error=str(refused), member_name=username)
    messages.success(request, f"{username} is {role} of this library now.")
    if waiting.count and role != Membership.Role.EDITOR:
        messages.info(request, f"What they had begun is finished in your name: {waiting.sentence}.")
    return redirect("catalog:library-settings", library_id)


@login_required
@require_POST
def drop_member(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Take a member out; they keep their favourites, but see the photos no longer."""
    frame = owned_frame(request, library_id, "settings")
    username = _username(request)
    member = User.objects.filter(username=username, memberships__library=frame["library"]).first()
    if member is None:
        messages.warning(request, f"“{username[:150]}” was no member any more.")
    else:
        waiting = waiting_of(member, frame["library"])
        libraries_members.remove_member(frame["library"], member)
        messages.success(request, f"{member.get_username()} sees this library no longer.")
        if waiting.count:
            messages.info(request, f"What they had begun is finished in your name: {waiting.sentence}.")
    return redirect("catalog:library-settings", library_id)


@login_required
@require_POST
def move(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Say where the library's folder is now, and scan it."""
    frame = owned_frame(request, library_id, "settings")
    folder = request.POST.get("folder", "")
    try:
        library = relocate(frame["library"], request.user, folder)
    except folders.LibraryRefused as refused:
        form = SettingsForm(instance=frame["library"])
        return _page(request, frame, form, status=422, move_error=str(refused), move_folder=folder)
    messages.success(request, f"The library is in {library.root} now. A scan makes sure of every file.")
    return redirect("catalog:library-settings", library_id)


@login_required
@require_POST
def forget(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Forget the catalog of the library, never a photo, if its name was typed as confirmation."""
    frame = owned_frame(request, library_id, "settings")
    library = frame["library"]
    if request.POST.get("name", "").strip() != library.name.strip():
        sentence = "The name you typed is not the library's. Nothing was forgotten."
        return _page(request, frame, SettingsForm(instance=library), status=422, forget_error=sentence)
    waiting = waiting_in(library)
    if waiting.count and request.POST.get("waiting") != str(waiting.count):
        sentence = (
            f"This would be lost: {waiting.sentence}. Nothing was forgotten. Wait until it is done, or confirm again."
        )
        return _page(request, frame, SettingsForm(instance=library), status=422, forget_error=sentence)
    name, root = library.name, library.root
    libraries_forget.forget_library(library)
    messages.success(request, f"“{name}” is forgotten. Its photos are untouched in {root}.")
    return redirect("catalog:libraries")


def _username(request: HttpRequest) -> str:
    """Return the name that was sent; without NUL, which PostgreSQL refuses to compare with anything."""
    return request.POST.get("username", "").replace("\0", "").strip()


def _page(
    request: HttpRequest, frame: dict[str, Any], form: SettingsForm, status: int = 200, **words: str
) -> HttpResponse:
    members = Membership.objects.filter(library=frame["library"]).select_related("user").order_by("user__username")
    context = {
        **frame,
        "form": form,
        "time_zones": time_zone_names(),
        "memberships": list(members),
        "waiting": waiting_in(frame["library"]),
        "roles": Membership.Role.choices,
        "scan_choices": Library.ScanEvery.choices,
        "trash_choices": Library.TrashDays.choices,
        "verify_choices": Library.VerifyEvery.choices,
        **words,
    }
    return render(request, "catalog/settings.html", context, status=status)
