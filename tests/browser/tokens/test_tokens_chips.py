"""The tokens under a prompt box, as a user sees them while typing."""

import pytest

from flux_duet.tests.browser.tokens.boxes import (
    CLIP,
    PANELS,
    T5,
    add,
    box,
    count,
    expect_count,
    set_widget,
    tip,
)


def chips(front, kinds="token", index=0):
    """The texts of the chips of these kinds; struck-through ones are in brackets."""
    script = f"""([kinds, index]) => [...({PANELS})[index].querySelectorAll('.chip')]
        .filter(chip => kinds.split(' ').includes(chip.dataset.kind))
        .map(chip => 'cut' in chip.dataset ? `[${{chip.innerText}}]` : chip.innerText)"""
    return front.page.evaluate(script, [kinds, index])


def test_chips_follow_what_is_typed(front):
    add(front, CLIP)
    expect_count(front, "0 / 75 75 pads")
    box(front).click()
    front.page.keyboard.type("unbelievably (grainy:1.3) light", delay=10)
    front.page.wait_for_function(f"""() => {{
        const last = [...({PANELS})[0].querySelectorAll('.chip[data-kind=token]')].at(-1);
        return last?.innerText === 'light';
    }}""")
    assert chips(front, "start token weight end") == ["start", "unbelievably", "gra", "iny", "1.3", "light", "end"]
    expect_count(front, "4 / 75 71 pads")
    glued = front.page.locator(".chip[data-kind=token][data-glued]")
    assert glued.all_inner_texts() == ["iny"]
    (node,) = front.to_api().values()
    assert node["inputs"]["text"] == "unbelievably (grainy:1.3) light"
    assert "tokens" not in node["inputs"]
    assert front.errors == []


def test_what_is_cut_is_struck_and_says_why(front):
    add(front, CLIP)
    box(front).fill("word " * 80)
    expect_count(front, "80 / 75 5 cut")
    front.page.locator(".chips").evaluate("list => list.scrollTop = 10_000")
    last = front.page.locator(".chip[data-cut]").last
    last.hover()
    assert "past the 75 tokens that CLIP-L reads" in tip(front)
    assert chips(front)[-6:] == ["word", *["[word]"] * 5]
    set_widget(front, CLIP, "past_75", "average")
    expect_count(front, "80 / 150 2 chunks")
    assert front.page.locator(".chip[data-cut]").count() == 0
    assert front.errors == []


def test_t5_follows_its_length_and_its_weights(front):
    add(front, T5)
    expect_count(front, "1 token 255 pads")
    box(front).fill("A (red:1.5) fox")
    set_widget(front, T5, "length", "official 512")
    expect_count(front, "5 / 512 507 pads")
    assert chips(front, "token space weight end pads") == ["A", "red", "1.5", "\u2581", "fox", "end", "507 pads"]
    set_widget(front, T5, "weights", "off")
    front.page.wait_for_function(f"() => !({PANELS})[0].querySelector('.chip[data-kind=weight]')")
    assert "(" in "".join(chips(front))
    box(front).fill("word " * 300)
    set_widget(front, T5, "length", "official 256")
    expect_count(front, "301 / 256 45 cut")
    set_widget(front, T5, "length", "exact")
    expect_count(front, "301 tokens")
    assert front.errors == []


def test_ctrl_up_changes_a_weight_as_in_native_boxes(front):
    add(front, CLIP)
    box(front).fill("a moody film")
    box(front).click()
    box(front).evaluate("area => area.setSelectionRange(2, 7)")
    for _ in range(4):
        front.page.keyboard.press("Control+ArrowUp")
    front.page.wait_for_function(f"() => ({PANELS})[0].querySelector('.chip[data-kind=weight]')?.innerText === '1.2'")
    assert front.to_api().popitem()[1]["inputs"]["text"] == "a (moody:1.2) film"
    for _ in range(4):
        front.page.keyboard.press("Control+ArrowDown")
    front.page.wait_for_function(f"() => !({PANELS})[0].querySelector('.chip[data-kind=weight]')")
    assert front.to_api().popitem()[1]["inputs"]["text"] == "a moody film"
    assert front.errors == []


@pytest.mark.parametrize(
    "kind, shown_chips, note",
    [
        (CLIP, ["(", "12", ":", "3", "0", ")"], "CLIP reads this as text, not as a weight: (12:30)"),
        (T5, ["12"], "T5 reads this as a weight, as ComfyUI does: (12:30)"),
    ],
)
def test_a_doubtful_number_is_marked_and_reported(front, kind, shown_chips, note):
    add(front, kind)
    box(front).fill("(12:30)")
    front.page.locator(".warned").wait_for()
    assert "".join(chips(front)).replace(" ", "") == "".join(shown_chips)
    assert chips(front, "weight") == ([] if kind == CLIP else ["30"])
    count(front).hover()
    assert note in tip(front)
    box(front).fill("(dog:1.2)")
    front.page.wait_for_function(f"() => !({PANELS})[0].querySelector('.warned')")
    assert front.errors == []


def test_an_embedding_that_is_not_there_is_struck(front):
    add(front, CLIP)
    box(front).fill("a \U0001f98a embedding:typo, at night")
    expect = "a \U0001f98a [embedding:typo] , at night"
    front.page.wait_for_function(f"() => ({PANELS})[0].querySelector('.chip[data-kind=ignored]')")
    shown = [each for each in chips(front, "token ignored part") if each != "\u00b7"]
    assert " ".join(shown) == expect
    front.page.locator(".chip[data-kind=ignored]").hover()
    assert "This embedding does not exist. It has no effect." in tip(front)
    front.page.mouse.move(0, 0)
    count(front).hover()
    assert "The embedding typo does not exist. It has no effect." in tip(front)
    assert "counts as text" not in tip(front)
    box(front).fill("embedding:typo")
    expect_count(front, "0 / 75 75 pads !")
    assert chips(front, "token ignored") == ["[embedding:typo]"]
    box(front).fill("word " * 76 + "embedding:typo")
    expect_count(front, "76 / 75 1 cut !")
    assert front.errors == []


def test_the_keyboard_reaches_each_token(front):
    add(front, CLIP)
    box(front).fill("word " * 80)
    expect_count(front, "80 / 75 5 cut")
    front.page.locator(".count").focus()
    front.page.keyboard.press("Tab")
    while front.page.evaluate(f"() => ({PANELS})[0].activeElement?.className") != "chips":
        front.page.keyboard.press("Tab")
    assert "start token" in tip(front)
    front.page.keyboard.press("ArrowRight")
    assert tip(front).startswith("word")
    front.page.keyboard.press("End")
    assert "Cut" in tip(front)
    active = front.page.locator(".chips").get_attribute("aria-activedescendant")
    assert front.page.locator(f"#{active}").is_visible()
    assert front.errors == []
