"""Sends a request to one of the pack's routes, as the front end does."""

import json
import urllib.error
import urllib.request

JSON = "application/json"


def ask(server, url: str, body, kind: str = JSON) -> tuple[int, dict]:
    """(HTTP status, the answer's JSON); bytes are sent as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + url, data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
