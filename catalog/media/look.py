"""The look of a picture: 63 bits that stay nearly the same when it is scaled, compressed anew, or made a little brighter.

They are the signs of its lowest frequencies (a cosine transform of 16 x 16 grey values), each against their median: a picture
as such, without its fine grain, its size and its colours. How many bits of two looks differ says how different two pictures are.
"""

from collections.abc import Iterable
from math import cos, pi
from operator import mul

from PIL import Image

NO_LOOK = 0
"""Of a picture that cannot be told apart from others by it: an even area, a gradient, a few pixels; and of videos."""
MOST_BITS = 6
"""Two pictures are similar if no more of the 63 bits of their looks differ."""
_EDGE = 16
_KEPT = 8
_LEAST_EDGE_PX = 32
_LEAST_CONTRAST = 12.0
"""So far from their median half of the frequencies must be at least: less is grain, which each compression changes."""
_MIDDLE = (_KEPT * _KEPT - 1) // 2
_WAVES = [[cos(pi * wave * (2 * x + 1) / (2 * _EDGE)) for x in range(_EDGE)] for wave in range(_KEPT)]


def look_of(image: Image.Image) -> int:
    """Return the look of an upright RGB or grey picture, 1 to 2**63 - 1, or NO_LOOK."""
    if min(image.size) < _LEAST_EDGE_PX:
        return NO_LOOK
    grey = image.convert("L").resize((_EDGE, _EDGE), Image.Resampling.BOX).tobytes()
    rows = [grey[start : start + _EDGE] for start in range(0, _EDGE * _EDGE, _EDGE)]
    columns = [[sum(map(mul, wave, row)) for row in rows] for wave in _WAVES]
    values = [sum(map(mul, wave, column)) for column in columns for wave in _WAVES][1:]  # the first is the brightness
    middle = _median(values)
    if _median(abs(value - middle) for value in values) < _LEAST_CONTRAST:
        return NO_LOOK
    look = 0
    for value in values:
        look = look << 1 | (value > middle)
    return look


def are_similar(one: int, other: int) -> bool:
    """Tell whether pictures with these looks are similar."""
    return (one ^ other).bit_count() <= MOST_BITS


def _median(values: Iterable[float]) -> float:
    return sorted(values)[_MIDDLE]
