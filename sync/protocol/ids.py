"""Ids that are made of other ids, so that two devices that make the same thing offline make one thing."""

import uuid


def album_item_id(album_id: str, target_type: str, target_id: str) -> str:
    """Return the id of a photo or note in an album."""
    return str(uuid.uuid5(uuid.UUID(album_id), f"{target_type}:{target_id}"))


def favourite_id(user_id: str, photo_id: str) -> str:
    """Return the id of a person's favourite."""
    return str(uuid.uuid5(uuid.UUID(user_id), photo_id))
