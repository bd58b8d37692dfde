"""Standard input, deflated as small as it gets, as a bare stream. Runs where zopfli is:

    .tools/lambda/bin/python -m deploy.deflate < PROGRAM > STREAM
"""

from __future__ import annotations

import sys

import zopfli.zlib

HEAD, TAIL = 2, 4  # of zlib's own form around the stream

if __name__ == "__main__":
    packed = zopfli.zlib.compress(sys.stdin.buffer.read(), numiterations=5)
    sys.stdout.buffer.write(packed[HEAD:-TAIL])
