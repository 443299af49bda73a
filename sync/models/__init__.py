"""What the server keeps of devices that sync: their mutations, how far they are, and the conflicts that came of it."""

from .conflict import Conflict
from .device_state import DeviceState, PulledScope
from .pushed_mutation import PushedMutation
from .server import Server

__all__ = ["Conflict", "DeviceState", "PulledScope", "PushedMutation", "Server"]
