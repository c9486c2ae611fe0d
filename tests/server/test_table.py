"""The modulation table on the real server: the same picture, and its report on the node that samples."""

import numpy


def pixels(result, node: str) -> numpy.ndarray:
    (image,) = result.images(node)
    return numpy.asarray(image)


def reports(result) -> dict[str, str]:
    """By the node's id: what the table says of its run."""
    found = {}
    for message in result.previews:
        if b"Modulation Table: " in message:
            length = int.from_bytes(message[4:8], "big")
            found[message[8 : 8 + length].decode()] = message[8 + length :].decode()
    return found


def test_the_same_picture_and_its_report(comfy_server, workflow):
    save, sampler = workflow.node("SaveImage"), workflow.inputs("FluxDuetSampler")
    plain = comfy_server.run(workflow)
    assert not reports(plain)
    native = workflow.add_native_twin(model=workflow.add("FluxDuetTable", model=sampler["model"]))
    sampler["modulation_table"] = True
    result = comfy_server.run(workflow)
    assert numpy.array_equal(pixels(plain, save), pixels(result, save))
    assert numpy.array_equal(pixels(plain, save), pixels(result, native))
    found, steps = reports(result), sampler["steps"]
    assert len(found) == 2 and workflow.node("FluxDuetSampler") in found
    for text in found.values():
        assert f"for {steps} of {steps} evaluations" in text and "MiB of weights were read once" in text
