"""A word's map over the picture: transparent where it is low, as opaque as chosen, away while the picture is held."""

import numpy as np
import pytest

from flux_duet.nodes.probe.heat import overlay

DRAW = """async () => {
    const { Picture, legend } = await import("/extensions/flux-duet/heatmap/picture.mjs");
    const picture = new Picture(() => {}, () => {}), canvas = picture.root.querySelector("canvas");
    const red = document.createElement("canvas");
    Object.assign(red, { width: 16, height: 8 });
    Object.assign(red.getContext("2d"), { fillStyle: "#f00" }).fillRect(0, 0, 16, 8);
    const at = x => {
        const { width, height } = canvas;
        return [...canvas.getContext("2d").getImageData(x * (width - 1), height / 2, 1, 1).data.slice(0, 3)];
    };
    const node = { properties: {} }, { root, show } = legend(node, share => picture.cover(share));
    const slider = root.querySelector("input"), slide = value => {
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
    };
    show();
    picture.load(red.toDataURL(), [1, 2]);
    picture.draw(Uint8Array.of(128, 128));
    for (let frame = 0; at(0)[0] < 128; frame++) {
        if (frame > 600) throw new Error(`no picture: ${at(0)}`);
        await new Promise(requestAnimationFrame);
    }
    const half = at(0.5);
    picture.draw(Uint8Array.of(0, 255));
    const found = { half, start: [slider.value, at(0), at(1)] };
    canvas.dispatchEvent(new PointerEvent("pointerdown"));
    found.held = at(1);
    canvas.dispatchEvent(new PointerEvent("pointerup"));
    slide(100);
    found.full = [at(1), { ...node.properties }];
    slide(0);
    found.none = at(1);
    return found;
}"""


def over(level: int) -> list[int]:
    """The colour of a map of this level over red, as in the node's IMAGE."""
    red = np.broadcast_to(np.float32((1, 0, 0)), (16, 16, 3))
    return list(overlay.over(red, np.full((2, 2), level / 255)).getpixel((8, 8)))


def test_a_map_lets_the_picture_through(front):
    found = front.page.evaluate(DRAW)
    value, low, high = found["start"]
    assert value == "80" and low == [255, 0, 0]
    assert found["half"] == pytest.approx(over(128), abs=2) and high == pytest.approx(over(255), abs=12)
    full, kept = found["full"]
    assert 150 < high[1] < full[1] and kept == {"flux_duet_opacity": 100}
    assert full == pytest.approx([254, 232, 56], abs=12)  # enlarging sharpens a little
    assert found["held"] == found["none"] == [255, 0, 0]
    assert front.errors == []
