"""Write the metadata JSON of a photo: the same file always gives the same text."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone
from typing import Any

from catalog.media import dates
from catalog.media.exif import Tags, clean_text, number
from catalog.media.facts import Facts
from catalog.media.words import user_comment

_LONGEST_VALUE = 256
_MOST_TAGS = 200
_IFD0_NAMES = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0112: "Orientation",
    0x011A: "XResolution",
    0x011B: "YResolution",
    0x0128: "ResolutionUnit",
    0x0131: "Software",
    0x0132: "ModifyDate",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x0213: "YCbCrPositioning",
    0x4746: "Rating",
    0x4749: "RatingPercent",
    0x8298: "Copyright",
}
_EXIF_NAMES = {
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8822: "ExposureProgram",
    0x8824: "SpectralSensitivity",
    0x8827: "ISO",
    0x8830: "SensitivityType",
    0x8831: "StandardOutputSensitivity",
    0x8832: "RecommendedExposureIndex",
    0x9003: "DateTimeOriginal",
    0x9004: "CreateDate",
    0x9010: "OffsetTime",
    0x9011: "OffsetTimeOriginal",
    0x9012: "OffsetTimeDigitized",
    0x9102: "CompressedBitsPerPixel",
    0x9201: "ShutterSpeedValue",
    0x9202: "ApertureValue",
    0x9203: "BrightnessValue",
    0x9204: "ExposureCompensation",
    0x9205: "MaxApertureValue",
    0x9206: "SubjectDistance",
    0x9207: "MeteringMode",
    0x9208: "LightSource",
    0x9209: "Flash",
    0x920A: "FocalLength",
    0x9214: "SubjectArea",
    0x9286: "UserComment",
    0x9290: "SubSecTime",
    0x9291: "SubSecTimeOriginal",
    0x9292: "SubSecTimeDigitized",
    0x9400: "AmbientTemperature",
    0x9401: "Humidity",
    0x9402: "Pressure",
    0x9403: "WaterDepth",
    0x9404: "Acceleration",
    0x9405: "CameraElevationAngle",
    0xA001: "ColorSpace",
    0xA002: "ExifImageWidth",
    0xA003: "ExifImageHeight",
    0xA004: "RelatedSoundFile",
    0xA20B: "FlashEnergy",
    0xA20E: "FocalPlaneXResolution",
    0xA20F: "FocalPlaneYResolution",
    0xA210: "FocalPlaneResolutionUnit",
    0xA214: "SubjectLocation",
    0xA215: "ExposureIndex",
    0xA217: "SensingMethod",
    0xA401: "CustomRendered",
    0xA402: "ExposureMode",
    0xA403: "WhiteBalance",
    0xA404: "DigitalZoomRatio",
    0xA405: "FocalLengthIn35mmFormat",
    0xA406: "SceneCaptureType",
    0xA407: "GainControl",
    0xA408: "Contrast",
    0xA409: "Saturation",
    0xA40A: "Sharpness",
    0xA40C: "SubjectDistanceRange",
    0xA420: "ImageUniqueID",
    0xA430: "OwnerName",
    0xA431: "SerialNumber",
    0xA432: "LensInfo",
    0xA433: "LensMake",
    0xA434: "LensModel",
    0xA435: "LensSerialNumber",
    0xA460: "CompositeImage",
}
_GPS_NAMES = {
    1: "GPSLatitudeRef",
    2: "GPSLatitude",
    3: "GPSLongitudeRef",
    4: "GPSLongitude",
    5: "GPSAltitudeRef",
    6: "GPSAltitude",
    7: "GPSTimeStamp",
    8: "GPSSatellites",
    9: "GPSStatus",
    10: "GPSMeasureMode",
    11: "GPSDOP",
    12: "GPSSpeedRef",
    13: "GPSSpeed",
    14: "GPSTrackRef",
    15: "GPSTrack",
    16: "GPSImgDirectionRef",
    17: "GPSImgDirection",
    18: "GPSMapDatum",
    27: "GPSProcessingMethod",
    29: "GPSDateStamp",
    31: "GPSHPositioningError",
}


def metadata_body(facts: Facts, photo_md5: str) -> str:
    """Return canonical JSON of what the file itself says: sorted keys, no spaces, what is unknown left out.

    `captureDate` carries an offset only if the file knows it, and is in UTC for films; `duration` is in seconds. No clock, name,
    sidecar or time zone enters, so equal files have equal bodies.
    """
    words = facts.words
    width, height = facts.size
    duration_ms = facts.found.duration_ms
    body: dict[str, Any] = {
        "photoMD5": photo_md5,
        "width": width or None,
        "height": height or None,
        "captureDate": _capture_date(facts),
        "cameraMake": facts.make,
        "cameraModel": facts.model,
        "lensModel": facts.lens,
        "focalLength": facts.focal_length,
        "aperture": facts.aperture,
        "shutterSpeed": facts.shutter_speed,
        "iso": facts.iso,
        "gpsLatitude": words.latitude,
        "gpsLongitude": words.longitude,
        "rating": words.rating,
        "duration": duration_ms / 1000 if duration_ms is not None else None,
        "exifData": readable_tags(facts),
    }
    known = {name: value for name, value in body.items() if value is not None and value != "" and value != {}}
    return json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _capture_date(facts: Facts) -> str:
    for candidate in (*facts.embedded_dates(), *facts.later_dates(), *facts.last_dates()):
        try:
            stamp = dates.resolve(candidate, None)
        except dates.ImpossibleDate:
            continue
        if stamp is None:
            continue
        if stamp.is_utc:
            return stamp.local.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
        if stamp.offset_minutes is not None:
            return stamp.local.replace(tzinfo=timezone(timedelta(minutes=stamp.offset_minutes))).isoformat()
        return stamp.local.isoformat()
    return ""


def readable_tags(facts: Facts) -> dict[str, str]:
    """Return EXIF's tags by exiftool's names as short texts; maker notes, blobs and empty values are left out."""
    readable: dict[str, str] = {}
    for tags, names in ((facts.ifd0, _IFD0_NAMES), (facts.exif, _EXIF_NAMES), (facts.gps, _GPS_NAMES)):
        for tag, name in names.items():
            if tag in tags and len(readable) < _MOST_TAGS:
                text = user_comment(tags[tag]) if tag in (0x9286, 27) else _text(tags, tag)
                if text:
                    readable[name] = text[:_LONGEST_VALUE]
    return readable


def _text(tags: Tags, tag: int) -> str:
    value = tags[tag]
    if isinstance(value, bytes):
        return clean_text(value, _LONGEST_VALUE)
    if isinstance(value, tuple) and (not value or isinstance(value[0], tuple) or len(value) != 2):
        return " ".join(_one(part) for part in value[:16])
    return _one(value)


def _one(value: Any) -> str:
    plain = number(value)
    if plain is None:
        return ""
    return str(int(plain)) if plain == int(plain) and abs(plain) < 1e15 else f"{plain:.6g}"
