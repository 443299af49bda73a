"""What a browser or device keeps that signed in before: a signed secret, bound to the account, by which it is known again.

It opens nothing: with it a password is still needed. It is worthless after a change of the password and after "sign out
everywhere" (`User.sign_in_proof`).
"""

import secrets
from datetime import timedelta

from django.core import signing
from django.utils.crypto import constant_time_compare

from .models import User

COOKIE = "known_device"
KEEP = timedelta(days=400)
"""Browsers keep no cookie for longer."""
MOST_ACCOUNTS = 5
"""So many people may share a browser."""
LONGEST_SECRET = 2000
_SALT = "accounts.known"


def secret_for(user: User, before: str = "") -> str:
    """Return what the browser or device is to keep from now on; `before` is what it kept, for this account and others."""
    entries = _entries(before)
    device = next((device for owner, device, _ in entries if owner == str(user.pk)), "") or secrets.token_hex(8)
    others = [entry for entry in entries if entry[0] != str(user.pk)]
    return signing.dumps([[str(user.pk), device, user.sign_in_proof()], *others[: MOST_ACCOUNTS - 1]], salt=_SALT)


def device_in(secret: str, username: str) -> str:
    """Return by which name `secret` knows the device for the account of that name; "" if it does not, or no more."""
    entries = _entries(secret)
    if not entries:
        return ""  # the same for all who bring nothing, so the time tells nothing of the account
    for user in User.objects.filter(pk__in=[owner for owner, _, _ in entries]):
        if user.get_username() == username:
            for owner, device, proof in entries:
                if owner == str(user.pk) and constant_time_compare(proof, user.sign_in_proof()):
                    return device
    return ""


def _entries(secret: str) -> list[list[str]]:
    """Return (account, device, proof) of each account that a genuine secret names."""
    if not secret or len(secret) > LONGEST_SECRET:
        return []
    try:
        return list(signing.loads(secret, salt=_SALT, max_age=KEEP))
    except signing.BadSignature:
        return []
