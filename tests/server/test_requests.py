"""All routes of the pack: no request blocks the server, and no answer is a raw error."""

import gzip
import http.client
import json
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from urllib.parse import urlsplit

import pytest

from flux_duet.devtools import ROOT
from flux_duet.tests.server import asking

ROUTES = ("/flux_duet/tokens", "/flux_duet/sigmas", "/flux_duet/heatmap", "/flux_duet/worker", "/flux_duet/theme")
BODIES = {"/flux_duet/tokens": {"text": "a"}, "/flux_duet/sigmas": {}, "/flux_duet/heatmap": {"name": "0" * 32},
          "/flux_duet/worker": {"files": ["nano_flux.safetensors"]},
          "/flux_duet/theme": {"client": "c", "dark": True}}  # fmt: skip
AT_ONCE = 10  # requests that are answered or wait; others are refused as busy
OTHERS = ("/system_stats", "/object_info/KSampler", "/queue", "/")  # the last is a file, read in a thread


def test_every_route_of_the_pack_is_tested_here():
    sources = (path.read_text("utf-8") for path in (ROOT / "nodes" / "routes").glob("*.py"))
    added = {route for source in sources for route in re.findall(r"routes\.\w+\(\"(/\S+?)\"\)", source)}
    assert added == set(ROUTES) == set(BODIES)


def slow(number: int) -> dict:
    """A text that takes as long as possible, each one different."""
    return {"text": f"(a{number})" * 4000}


def test_other_routes_answer_while_requests_wait(nano_server):
    full, answers = Event(), []

    def ask(number: int) -> None:
        status, answer = asking.ask(nano_server, "/flux_duet/tokens", slow(number))
        answers.append((status, answer.get("error")))
        if status == 503:
            full.set()

    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        futures = [pool.submit(ask, number) for number in range(3 * AT_ONCE)]
        assert full.wait(60), "more requests came than can wait, and none was refused"
        for other in OTHERS:
            with urllib.request.urlopen(nano_server.url + other, timeout=60) as answer:
                assert answer.status == 200 and answer.read()
        at_last = [status for status, _ in answers].count(200)
        for future in futures:
            future.result()
    refusals = [error for status, error in answers if status == 503]
    assert at_last < AT_ONCE // 2, "the others were answered only when most of the slow ones were"
    assert {status for status, _ in answers} == {200, 503} and len(answers) - len(refusals) >= AT_ONCE
    assert set(refusals) == {"busy: 10 requests are waiting; send it again in a second"}
    assert asking.ask(nano_server, "/flux_duet/tokens", {"text": "a"})[0] == 200, "later requests are accepted again"


def test_refused_requests_take_no_place_for_ever(nano_server):
    """More requests than can wait, one after the other, each of which ends in an error of its thread."""
    deep = {"text": "(" * 600 + "a" + ")" * 600}
    for _ in range(2 * AT_ONCE):
        assert asking.ask(nano_server, "/flux_duet/tokens", deep)[0] == 400


ENCODED = {
    "gzip that is none": ("gzip", b"{}"),
    "gzip": ("gzip", gzip.compress(b"{}")),
    "an unknown one": ("rot13", b"{}"),
    "several": ("gzip, gzip", b"{}"),
    "deflate that is none": ("deflate", b"{}"),
    "Brotli that is none": ("br", b"{}"),
    "Zstandard that is none": ("zstd", b"{}"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", ENCODED)
def test_encoded_bodies_are_refused_in_our_words(nano_server, route, case):
    encoding, body = ENCODED[case]
    headers = {"Content-Type": asking.JSON, "Content-Encoding": encoding}
    request = urllib.request.Request(nano_server.url + route, body, headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    if refused.value.code == 400 and encoding in ("deflate", "br", "zstd"):
        return  # aiohttp has refused it before any route was called
    assert refused.value.code == 415
    assert f"got the content encoding '{encoding}', expected none" in json.load(refused.value)["error"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_says_it_is_not_encoded_is_read(nano_server, route):
    body, address = json.dumps(BODIES[route]), urlsplit(nano_server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("POST", route, body, {"Content-Type": asking.JSON, "Content-Encoding": "identity"})
    assert connection.getresponse().status == (404 if "heatmap" in route else 200)
    connection.close()


LONG = {"four hundred digits": 10**400, "below nothing": -(10**400), "more digits than Python reads": "9" * 5000,
        "a large float": "1e999"}  # fmt: skip
FIELDS = [("/flux_duet/sigmas", field) for field in ("steps", "denoise", "shift", "mu", "width", "sampler")]
FIELDS += [("/flux_duet/theme", field) for field in ("client", "dark")]
FIELDS += [("/flux_duet/heatmap", field) for field in ("first", "last", "head", "refine")]
FIELDS += [("/flux_duet/tokens", field) for field in ("clip_positions", "clip_weights", "length")]


@pytest.mark.parametrize("case", LONG)
@pytest.mark.parametrize("route, field", FIELDS)
def test_a_number_of_any_length_is_refused_in_our_words(nano_server, route, field, case):
    given = json.dumps(BODIES[route])[:-1] + (", " if BODIES[route] else "")
    status, answer = asking.ask(nano_server, route, f'{given}"{field}": {LONG[case]}}}'.encode())
    assert status == 400 and f"for `{field}`; expected" in answer["error"] and len(answer["error"]) < 800


@pytest.mark.parametrize("route, field", FIELDS)
def test_a_deep_list_for_a_value_is_refused_in_our_words(nano_server, route, field):
    given = json.dumps(BODIES[route])[:-1] + (", " if BODIES[route] else "")
    status, answer = asking.ask(nano_server, route, f'{given}"{field}": {"[" * 800}{"]" * 800}}}'.encode())
    assert status == 400 and f"got a list for `{field}`" in answer["error"]
