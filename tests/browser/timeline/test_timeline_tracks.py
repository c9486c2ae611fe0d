"""Prompt Schedule's tracks: dragging and clicking edits the timeline's text."""

import pytest

from flux_duet.tests.browser.timeline.tracks import Timeline


def test_tracks_show_what_plays_when(front):
    shown = Timeline(front)
    assert shown.segments("CLIP").all_inner_texts() == ["1\na calm sea", "2\na forest"]
    assert shown.segments("T5").all_inner_texts() == ["1\na white square", "2\na red heart"]
    assert shown.widths("CLIP") == pytest.approx([0.4, 0.6], abs=0.01)
    assert shown.widths("T5") == pytest.approx([0.4, 0.6], abs=0.01)
    assert "20 steps · simple" in shown.page.locator(".foot").inner_text()
    assert front.errors == []


def test_a_border_is_dragged_in_the_text_s_own_unit_and_undone_in_one_step(front):
    shown = Timeline(front, "# kept\n1\n  @8   2  \n# too", "1\n@s0.85 2")
    shown.drag("CLIP", 8, 13.2)
    assert shown.texts[0] == "# kept\n1\n  @13   2  \n# too"
    shown.drag("T5", shown.widths("T5")[0] * 20, 10)
    assert shown.texts == ("# kept\n1\n  @13   2  \n# too", "1\n@s0.76 2")  # 0.7595, and step 10 is in
    shown.undo()
    assert shown.texts == ("# kept\n1\n  @13   2  \n# too", "1\n@s0.85 2")
    shown.undo()
    assert shown.texts[0] == "# kept\n1\n  @8   2  \n# too"
    assert shown.segments("CLIP").count() == 2
    assert front.errors == []


def test_alt_is_between_the_steps_and_escape_takes_it_back(front):
    shown = Timeline(front)
    shown.drag("T5", 8, 10.5, keys=["Alt"])
    value = float(shown.texts[1].removeprefix("1\n@").removesuffix("% 2"))
    assert value == pytest.approx(52.5, abs=0.8) and value % 5
    before = shown.texts
    x, y = shown.at("CLIP", 8)
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x + 60, y)
    shown.page.locator(".tip:popover-open").wait_for()
    tip = shown.page.locator(".tip:popover-open").inner_text()
    assert "step 11" in tip and "sigma" in tip
    assert shown.texts == before  # until the pointer is released
    shown.page.keyboard.press("Escape")
    shown.page.mouse.up()
    assert shown.texts == before and shown.widths("CLIP") == pytest.approx([0.4, 0.6], abs=0.01)
    assert front.errors == []


def test_a_border_stays_between_its_neighbours(front):
    shown = Timeline(front, "1\n@8 2\n@12 1", "1\n@4..9 2\n@15 1")
    shown.drag("CLIP", 8, 18)
    assert shown.texts[0] == "1\n@11 2\n@12 1"
    shown.drag("CLIP", 11, -3)
    assert shown.texts[0] == "1\n@1 2\n@12 1"
    shown.drag("T5", 15, 6)
    assert shown.texts[1] == "1\n@4..9 2\n@9 1"
    assert front.errors == []


def test_a_fade_is_drawn_out_carried_along_and_pushed_in(front):
    shown = Timeline(front)
    handle = shown.track("CLIP").locator(".ease")
    shown.track("CLIP").hover()
    shown.drag("CLIP", 8, 12, part=handle)
    assert shown.texts[0] == "1\n@8..12 2"
    assert shown.track("CLIP").locator(".ramp").count() == 1
    shown.drag("CLIP", 8, 10)
    assert shown.texts[0] == "1\n@10..14 2"
    shown.drag("CLIP", 14, 9, part=handle)
    assert shown.texts[0] == "1\n@10 2"
    assert front.errors == []


def test_double_click_splits_and_a_menu_does_the_rest(front):
    shown = Timeline(front, "1", "1\n@40% 2")
    assert "CLIP prompt 2 is connected, but the timeline does not use it." in shown.page.locator(".foot").inner_text()
    shown.page.mouse.dblclick(*shown.at("CLIP", 6))
    assert shown.texts[0] == "1\n@6 2"
    shown.page.locator(".foot", has_text="20 steps").wait_for()
    shown.page.mouse.click(*shown.at("CLIP", 15), button="right")
    shown.page.get_by_role("menuitemradio", name="1 a calm sea").click()
    assert shown.texts[0] == "1\n@6 1"
    shown.page.mouse.click(*shown.at("T5", 15), button="right")
    shown.page.get_by_role("menuitem", name="Fade in").click()
    assert shown.texts[1] == "1\n@40%..60% 2"
    shown.segments("T5").first.hover()
    shown.segments("T5").first.locator(".more").click()
    shown.page.get_by_role("menuitem", name="Remove").click()
    assert shown.texts[1] == "2"
    assert front.errors == []


def test_no_border_is_made_that_would_change_nothing(front):
    shown = Timeline(front, "1\n@8 2", "1\n@8 2\n@14 1")
    shown.page.mouse.dblclick(*shown.at("CLIP", 4))
    assert "would change nothing" in shown.page.locator(".tip:popover-open").inner_text()
    shown.page.mouse.dblclick(*shown.at("CLIP", 14))
    assert shown.texts == ("1\n@8 2\n@14 1", "1\n@8 2\n@14 1")
    shown.page.mouse.click(*shown.at("T5", 4), button="right")
    assert shown.page.get_by_role("menuitem", name="Split here").is_disabled()
    ticks = shown.page.locator(".menu button").evaluate_all(
        "all => all.map(each => [parseFloat(getComputedStyle(each).paddingLeft), "
        "getComputedStyle(each, '::before').position])"
    )
    assert all(left >= 20 for left, _ in ticks) and "absolute" in {place for _, place in ticks}
    assert front.errors == []


def test_an_entry_past_the_run_is_marked(front):
    shown = Timeline(front, "1\n@8 2\n@400 1")
    late = shown.track("CLIP").locator(".segment[data-idle]")
    assert late.inner_text() == "@400" and late.bounding_box()["width"] >= 40
    late.hover()
    tip = shown.page.locator(".tip:popover-open")
    assert "@400 is past the end of the run (steps: 20)" in tip.inner_text()
    below = shown.track("T5").bounding_box()
    assert tip.bounding_box()["y"] >= below["y"] + below["height"]
    assert front.errors == []


def test_the_tracks_are_above_the_texts_and_labels_stay_in_a_line(front):
    shown = Timeline(front)
    tops = "all => all.map(each => each.getBoundingClientRect().y)"
    texts = shown.page.locator("textarea:visible").evaluate_all(tops)
    assert shown.track("T5").bounding_box()["y"] < min(texts[:2])
    for _ in range(3):
        heights = shown.page.locator(".ruler span").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert max(heights) < 18
        shown.page.locator(".unit").click()
    assert front.errors == []
