"""Writes lines at a steady rate: so many a second for so long, each with the time at which it was written."""

import sys
import time

rate, seconds = (float(word) for word in sys.stdin.readline().split())
# Blocks of a millisecond cost the writer next to nothing; a slow rate is one line at a time.
block = max(1, int(rate / 1000))
filler = "x" * 80
begin = time.time()
for number in range(int(rate * seconds / block)):
    pause = begin + number * block / rate - time.time()
    if pause > 0:
        time.sleep(pause)
    line = f"{int(time.time() * 1e6)} {filler}\n"
    sys.stderr.write(line * block)
    sys.stderr.flush()
