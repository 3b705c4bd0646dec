"""What is wrong with a picture file, as far as its structure tells; OpenCV reads many such files without a word."""

from __future__ import annotations

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, but for DHT, JPG and DAC


def defect(content: bytes) -> str | None:
    """``truncated``, ``CMYK``, or None: a JPEG or PNG without fault, or another format."""
    if content.startswith(JPEG):
        # Within the coded data 0xff is always followed by 0 or a restart marker, so the last scan ends with the image.
        if content.rfind(END_OF_IMAGE) < content.rfind(START_OF_SCAN) or START_OF_SCAN not in content:
            return "truncated"
        return "CMYK" if jpeg_components(content) == 4 else None
    if content.startswith(PNG):
        return None if b"IEND" in content[-32:] else "truncated"
    return None


def jpeg_components(content: bytes) -> int:
    """Colour components by the frame header; 0 if there is none."""
    at = 2
    while at + 9 < len(content):
        if content[at] != 0xFF:
            return 0
        marker = content[at + 1]
        if marker in FRAMES:
            return content[at + 9]
        length = 0 if marker in STANDALONE else int.from_bytes(content[at + 2 : at + 4], "big")
        at += 1 if marker == 0xFF else 2 + length
    return 0
