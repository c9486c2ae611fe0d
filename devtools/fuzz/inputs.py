"""Random odd texts, names and requests."""

import json
import random

ATOMS = ("a", "red ", "(", ")", "((", "))", ":", ":1.5)", ":nan)", ":1e999)", "(16:9)", "\\(", "\\", "\n", "\t", " ",
         "@", "\n@", "@8 ", "@40%..60% ", "@s0.7 ", "..", "%", "---\n", '""', "0", "9", "-", ",", "0-", "double",
         "final", "embedding:", "embedding:a ", "<", "[", "\0", "\u0301", "\u0323", "\u200d", "\ufe0f", "\U0001f98a",
         "\u1112", "\u0e31", "\u0663", "\ufb01", "\ufdfa", "\u0130", "\u2028", "\x1c")  # fmt: skip
ROUTE = 40_000  # the longest text that /flux_duet/tokens accepts, in characters
ODD = (None, True, -1, 0, 0.5, 10**400, -(10**400), 1e308, "", "a", [], {}, [[[]]], "9" * 5000)


def text(rng: random.Random, most: int) -> str:
    """Random atoms, single or repeated up to `most` characters."""
    parts = []
    for _ in range(rng.randint(0, 12)):
        atom = rng.choice(ATOMS)
        parts.append(atom * rng.choice((1, 1, 1, 2, 3, 70, 600, most // len(atom))))
    return "".join(parts)[:most]


def timelines(rng: random.Random, most: int) -> str:
    """A timeline of odd prompts at odd or valid times."""
    if rng.random() < 0.5:
        return text(rng, most) + f"\n@{rng.randint(0, 99)}" * rng.randint(0, 30)
    times = sorted(rng.sample(range(1, 100), rng.randint(0, 30)))
    return "".join(f"\n@{at} " * (at > 0) + text(rng, 60).replace("@", "") for at in [0, *times])


def searched(rng: random.Random, most: int) -> str:
    """A text of half the length: its words are processed one by one."""
    return text(rng, most // 2)


def blocks(rng: random.Random, most: int) -> str:
    return text(rng, min(200, most))


def shapes(rng: random.Random, most: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a small T5 encoder's tensors by name, some removed, others with a wrong number."""
    names = [f"encoder.block.{block}.layer.{layer}" for block in range(2) for layer in ("0.SelfAttention.q", "0.x")]
    names += ["shared", "encoder.final_layer_norm", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
              "text_model.encoder.layers.0.mlp.fc1", "double_blocks.0.x"]  # fmt: skip
    numbers = ("7", "999", "1000", "99999999", "9" * 5000, "-1", "\u0663", "")
    changed = (name.replace("0", rng.choice(numbers), 1) if rng.random() < 0.3 else name for name in names)
    return {f"{name}.weight": (4, 4) for name in changed if rng.random() < 0.9}


def request(rng: random.Random, most: int) -> tuple[str, bytes, dict[str, str]]:
    """A route of the pack, a body and headers."""
    least = min(most, ROUTE)
    fields = {
        "tokens": {"text": text(rng, rng.choice((least, least, most))), "clip_positions": 77, "t5_weights": "off",
                   "length": "official 256"},
        "sigmas": {"steps": rng.choice((20, 10_000)), "denoise": 1.0, "shift": 1.15, "mu": 1.0, "sampler": "euler",
                   "scheduler": rng.choice(("simple", "normal", "sgm_uniform", "beta")), "width": 1024},
        "heatmap": {"name": "0" * 32, "first": 0, "last": 9, "head": 0, "blocks": text(rng, 60)},
    }  # fmt: skip
    route = rng.choice(sorted(fields))
    asked = {name: value for name, value in fields[route].items() if name in ("text", "name") or rng.random() < 0.5}
    if rng.random() < 0.4:
        asked[rng.choice([*fields[route], "other"])] = rng.choice(ODD)
    body = json.dumps(asked).encode()
    if rng.random() < 0.1:
        body = body[: rng.randint(0, len(body))]
    headers = {"Content-Type": rng.choice(("application/json",) * 9 + ("text/plain",))}
    if rng.random() < 0.1:
        headers["Content-Encoding"] = rng.choice(("gzip", "rot13", "identity"))
    return f"/flux_duet/{route}", body, headers
