"""The command-line arguments of a worker's ComfyUI. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# Of a server of its own: its address, its folders, its window. Everything else (folders of models and custom nodes,
# precision, memory, attention) is the same for the workers on this machine.
OWN = {
    "--listen", "--port", "--tls-keyfile", "--tls-certfile", "--enable-cors-header", "--max-upload-size",
    "--output-directory", "--input-directory", "--temp-directory", "--user-directory", "--database-url",
    "--auto-launch", "--disable-auto-launch", "--windows-standalone-build", "--front-end-version", "--front-end-root",
    "--cuda-device", "--default-device", "--log-stdout", "--preview-method", "--multi-user",
}  # fmt: skip


def of_this_machine(given: Sequence[str]) -> list[str]:
    """Those arguments of the running ComfyUI that its workers on this machine start with too."""
    kept, taken = [], True
    for each in given:
        if each.startswith("--"):
            taken = each.split("=")[0] not in OWN
        if taken:
            kept.append(each)
    return kept
