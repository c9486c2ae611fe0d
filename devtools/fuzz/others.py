"""Sends requests to other routes of a server, in a separate process. Needs psutil, which ComfyUI installs.

    python others.py URL PID

Until its input is closed it asks one route after the other, and prints for each answer when it asked (time.monotonic),
how long the answer took, and how much processor time the process PID took meanwhile, all in seconds, and the status.
"""

import http.client
import sys
import threading
import time
from urllib.parse import urlsplit

import psutil

ROUTES = ("/system_stats", "/object_info/KSampler", "/queue")
PAUSE = 0.02  # seconds between two requests


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main(url: str, pid: int) -> None:
    ended, process, address = threading.Event(), psutil.Process(pid), urlsplit(url)
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.wait(PAUSE):
        for route in ROUTES:
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            before, start = spent(process), time.monotonic()
            connection.request("GET", route)
            answer = connection.getresponse()
            answer.read()
            took = time.monotonic() - start
            print(start, took, spent(process) - before, answer.status, flush=True)
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
