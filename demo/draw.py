"""Draws a page of printed text as PNG, for the demo and its test: `draw.py page.png LINE…`."""

import sys

from PIL import Image, ImageDraw, ImageFont

SIZE = 640
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def draw(path, lines, size=30, left=40):
    """Dark text on near-white, one line of `lines` below the other, `size` pixels high."""
    page = Image.new("RGB", (SIZE, SIZE), (250, 249, 245))
    pen = ImageDraw.Draw(page)
    font = ImageFont.truetype(FONT, size)
    for i, line in enumerate(lines):
        pen.text((left, 40 + i * size * 2), line, fill=(30, 30, 40), font=font)
    page.save(path)


if __name__ == "__main__":
    draw(sys.argv[1], sys.argv[2:])
