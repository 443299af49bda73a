"""System checks of how people reach the site: proxies that are named, and those that should be."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from photolala.web.proxies import unnamed_proxy

SETTINGS = "photolala_settings"


@register(SETTINGS)
def check_unnamed_proxy(**_: Any) -> list[CheckMessage]:
    """photolala.W020: no proxy hands requests on without being named, for then all people have one address."""
    found = unnamed_proxy()
    if found is None or (settings.BEHIND_TLS and not settings.PROXIES):
        return []
    where, word = found.address or "a Unix socket", found.address or "unix"
    return [
        Warning(
            f"Requests come with X-Forwarded-… headers from {where}, which PHOTOLALA_PROXIES does not name: they are ignored, "
            "and all who come that way count as one address, also when sign-ins fail.",
            hint=f"If your proxy runs there, set PHOTOLALA_PROXIES={word}. Else somebody there sends forged headers.",
            id="photolala.W020",
        )
    ]


@register(SETTINGS)
def check_any_proxy(**_: Any) -> list[CheckMessage]:
    """photolala.W021: behind TLS the proxy is named."""
    if not settings.BEHIND_TLS or settings.PROXIES:
        return []
    return [
        Warning(
            "PHOTOLALA_TLS=1 without PHOTOLALA_PROXIES: whoever reaches the server directly is taken for the proxy and believed.",
            hint="Set PHOTOLALA_PROXIES to your proxy's address, such as 127.0.0.1, or to unix.",
            id="photolala.W021",
        )
    ]
