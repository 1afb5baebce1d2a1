"""Runs a command and prints its wall seconds, peak memory, exit status and complaints as JSON for measure.py.

A process of its own, because Linux counts the memory of whoever starts a command as the command's: a
benchmark that has loaded torch would see its own size. So this file imports next to nothing.
"""

import json
import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    start = time.perf_counter()
    result = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps([seconds, peak if sys.platform == "darwin" else peak * 1024, result.returncode, result.stderr]))
