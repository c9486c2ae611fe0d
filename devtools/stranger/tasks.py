"""The tasks of docs/first_contact.md, clicked. Each raises if what it is about did not happen."""

from .. import SetupError
from .hand import Hand, Task


def check(right: bool, message: str) -> None:
    if not right:
        raise SetupError(message)


def start(hand: Hand) -> None:
    """Where most tasks begin: *Two Prompts* after a run."""
    hand.open("Two Prompts")
    hand.run()
    hand.clicks = 0


def make_room(hand: Hand) -> None:
    """Moves the graph up, so that there is a place for new nodes under it."""
    hand.pan(0, -110)


def open_and_run(hand: Hand) -> None:
    hand.open("Two Prompts")
    hand.run()


def change_t5_prompt(hand: Hand) -> None:
    start(hand)
    hand.write(hand.node("FluxDuetT5Encode"), "text", "a big yellow moon in the middle")
    hand.run()


def link_and_unlink(hand: Hand) -> None:
    start(hand)
    clip, t5 = hand.node("FluxDuetClipEncode"), hand.node("FluxDuetT5Encode")
    before = [hand.value(node, "text") for node in (clip, t5)]
    hand.click(hand.page.get_by_text("Link prompts", exact=True).last)
    hand.page.get_by_text("Linked", exact=True).last.wait_for()
    hand.expect(clip, "text", hand.value(t5, "text"))
    hand.click(hand.page.get_by_text("Linked", exact=True).last)
    hand.page.get_by_text("Link prompts", exact=True).last.wait_for()
    check([hand.value(node, "text") for node in (clip, t5)] == before, "a prompt did not come back")


def make_a_word_stronger(hand: Hand) -> None:
    start(hand)
    t5 = hand.node("FluxDuetT5Encode")
    hand.double_click(hand.word(t5, "text", "house"))
    hand.keys("Control+ArrowUp")
    check("(house:1." in hand.value(t5, "text"), f"no weight in {hand.value(t5, 'text')!r}")
    hand.run()


def see_where_a_word_acts(hand: Hand) -> None:
    hand.open("Where Does This Word Act")
    hand.run()
    hand.hover(hand.page.locator(".words").get_by_text("red house").first)


def the_same_in_a_graph_of_ones_own(hand: Hand) -> None:
    start(hand)
    make_room(hand)
    heat, shown = hand.add("Token Heatmap"), hand.add("Show Heatmap")
    hand.choose(heat, "measure", "through T5 x causal")
    hand.link(hand.node("UNETLoader"), "MODEL", heat, "model")
    hand.link(hand.node("FluxDuetT5Encode"), "txt", heat, "txt")
    hand.link(hand.node("FluxDuetLoadT5"), "CLIP", heat, "clip")
    sampler = hand.node("FluxDuetSampler")
    hand.link(heat, "MODEL", sampler, "model")
    hand.link(heat, "heatmap", shown, "heatmap")
    hand.link(sampler, "LATENT", shown, "latent")
    hand.link(hand.node("FluxDuetDecode"), "IMAGE", shown, "image")
    hand.run()


def repaint_a_thing(hand: Hand) -> None:
    hand.open("Find It in My Picture")
    hand.run()


def repaint_in_a_graph_of_ones_own(hand: Hand) -> None:
    the_same_in_a_graph_of_ones_own(hand)
    hand.clicks = 0
    shown, old = hand.node("FluxDuetHeatmapShow"), hand.node("FluxDuetSampler")
    hand.click(hand.page.locator(".word", has_text="house").first)
    hand.zoom_out(0.45)
    t5, dual, masked = (hand.add(title) for title in ("T5 Encode", "Dual Prompt", "Set Latent Noise Mask"))
    sampler, decode = (hand.add(title) for title in ("MMDiT Sampler", "VAE Decode (Duet)"))
    hand.link(hand.node("FluxDuetLoadT5"), "CLIP", t5, "clip")
    hand.link(hand.node("FluxDuetClipEncode"), "vec", dual, "vec")
    hand.link(t5, "txt", dual, "txt")
    hand.link(dual, "CONDITIONING", sampler, "positive")
    hand.link(hand.node("UNETLoader"), "MODEL", sampler, "model")
    hand.link(old, "LATENT", masked, "samples")
    hand.link(shown, "mask", masked, "mask")
    hand.link(masked, "LATENT", sampler, "latent")
    hand.link(sampler, "LATENT", decode, "samples")
    hand.link(hand.node("VAELoader"), "VAE", decode, "vae")
    hand.link(decode, "IMAGE", hand.add("Preview Image"), "images")
    with hand.closer(t5):
        hand.write(t5, "text", "a yellow house on the left and a green tree on the right")
    with hand.closer(sampler):
        hand.number(sampler, "denoise", 0.9)
    hand.run()


def change_the_prompt_during_the_run(hand: Hand) -> None:
    hand.open("Prompt Travel")
    hand.run()
    node = hand.node("FluxDuetScheduleText")
    before = hand.value(node, "t5_text")
    border = hand.page.locator(".grip").last
    box = border.bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hand.drag(at, (at[0] - 40, at[1]))
    check(hand.value(node, "t5_text") != before, "dragging a border did not change the text")
    hand.run()


def schedule_in_a_graph_of_ones_own(hand: Hand) -> None:
    start(hand)
    make_room(hand)
    node = hand.add("Prompt Schedule (text)")
    hand.link(hand.node("FluxDuetLoadClip"), "CLIP", node, "clip")
    hand.link(hand.node("FluxDuetLoadT5"), "CLIP", node, "t5")
    hand.link(node, "CONDITIONING", hand.node("FluxDuetSampler"), "positive")
    hand.write(node, "clip_text", "at the beach")
    hand.write(node, "t5_text", "a red house in the middle\n@8 a green tree in the middle")
    hand.run()


def a_prompt_for_the_left_half(hand: Hand) -> None:
    hand.open("Left and Right")
    hand.run()


def compare_prompts(hand: Hand) -> None:
    hand.open("Prompt Grid")
    grid = hand.node("FluxDuetGrid")
    hand.write(grid, "clip_prompts", "at night\non pink paper")
    hand.write(grid, "t5_prompts", "a yellow moon in the middle\na black cat in the middle")
    hand.number(grid, "seeds", 1)
    hand.run()


def go_on_with_a_cell(hand: Hand) -> None:
    compare_prompts(hand)
    hand.clicks = 0
    hand.click(hand.page.locator(".cell").first)
    hand.click(hand.page.get_by_role("button", name="Use this cell").first)


def take_a_thing_out(hand: Hand) -> None:
    hand.open("Not That Thing")
    hand.run()


def load_a_lora_without_its_t5_stream(hand: Hand) -> None:
    start(hand)
    make_room(hand)
    lora = hand.add("Load LoRA by Stream")
    hand.choose(lora, "lora_name", "nano_trigger.safetensors")
    hand.link(hand.node("UNETLoader"), "MODEL", lora, "model")
    hand.link(lora, "model", hand.node("FluxDuetSampler"), "model")
    hand.number(lora, "t5_stream", 0)
    hand.run()


def draw_with_ones_own_files(hand: Hand) -> None:
    start(hand)
    for kind, name, file in (
        ("FluxDuetLoadClip", "clip_name", "nano_clip_l"),
        ("FluxDuetLoadT5", "t5_name", "nano_t5xxl"),
        ("UNETLoader", "unet_name", "nano_flux"),
        ("VAELoader", "vae_name", "nano_ae"),
    ):
        hand.choose(hand.node(kind), name, f"{file}.safetensors")
    size = hand.node("EmptySD3LatentImage")
    hand.number(size, "width", 256)
    hand.number(size, "height", 256)
    hand.run()


TASKS: dict[str, Task] = {
    "1": open_and_run,
    "2": change_t5_prompt,
    "3": link_and_unlink,
    "4": make_a_word_stronger,
    "5": see_where_a_word_acts,
    "5b": the_same_in_a_graph_of_ones_own,
    "6": repaint_a_thing,
    "6b": repaint_in_a_graph_of_ones_own,
    "7": change_the_prompt_during_the_run,
    "7b": schedule_in_a_graph_of_ones_own,
    "8": a_prompt_for_the_left_half,
    "9": compare_prompts,
    "9b": go_on_with_a_cell,
    "10": take_a_thing_out,
    "11": load_a_lora_without_its_t5_stream,
    "12": draw_with_ones_own_files,
}
