"""Sound, answered by the range: a browser that plays from the middle asks for the bytes from there on.

Nothing of it is kept on the way: who may hear it is asked anew at every request.

Source: RFC 9110, section 14 (range requests).
"""

import re
from typing import Final

from starlette.responses import Response

from volition.server.web.page import Playback

_RANGE: Final = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


def play(sound: Playback, ranges: str) -> Response:
    """Answer with a sound, or with the one range of it that is asked for.

    Args:
        sound: All of it.
        ranges: The header `Range`; anything but one range of bytes is answered with all of it, as the source allows.
    """
    headers = {"accept-ranges": "bytes", "cache-control": "no-store"}
    match, size = _RANGE.fullmatch(ranges.replace(" ", "")), len(sound.data)
    if match is None or not any(match.groups()):
        return Response(sound.data, media_type=sound.media_type, headers=headers)
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))  # "-500": the last 500 bytes
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {start}-{end}/{size}"
    return Response(sound.data[start : end + 1], status_code=206, media_type=sound.media_type, headers=headers)
