"""Small PNGs: a picture of a page as a palette of its own colours, which is a third of what a browser writes.

A page has few colours besides the greys at the edges of letters: the most frequent 64 are kept, and each other pixel
takes the one that is nearest to it.
"""

import base64
import struct
import zlib

import numpy as np
from playwright.sync_api import Page

COLOURS = 64
_DECODED = """async (encoded) => {
  const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const drawn = canvas.getContext("2d");
  drawn.drawImage(image, 0, 0);
  const pixels = drawn.getImageData(0, 0, image.width, image.height).data;
  let text = "";
  for (let at = 0; at < pixels.length; at += 32768) text += String.fromCharCode(...pixels.subarray(at, at + 32768));
  return { width: image.width, pixels: btoa(text) };
}"""


def small_png(picture: bytes, blank: Page) -> bytes:
    """Return a picture with a palette; `blank` is an empty page, which decodes it."""
    decoded = blank.evaluate(_DECODED, base64.b64encode(picture).decode())
    pixels = np.frombuffer(base64.b64decode(decoded["pixels"]), np.uint8).reshape(-1, decoded["width"], 4)
    packed = pixels[..., 0].astype(np.uint32) << 16 | pixels[..., 1].astype(np.uint32) << 8 | pixels[..., 2]
    colours, place, counts = np.unique(packed, return_inverse=True, return_counts=True)
    kept = np.sort(colours[np.argsort(-counts, kind="stable")[:COLOURS]])
    channels, palette = (np.stack([c >> 16, c >> 8 & 255, c & 255], axis=1).astype(np.int32) for c in (colours, kept))
    nearest = np.concatenate(
        [np.abs(some[:, None] - palette[None]).sum(axis=2).argmin(axis=1) for some in np.array_split(channels, 64)]
    )
    indexed = nearest[place].reshape(packed.shape).astype(np.uint8)
    lines = np.concatenate(
        [np.zeros((len(indexed), 1), np.uint8), indexed], axis=1
    )  # each line begins with "no filter"
    height, width = indexed.shape
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette.astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
