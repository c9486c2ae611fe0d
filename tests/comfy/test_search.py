"""Search finds the nodes by the words that people use."""

import pytest

from flux_duet.devtools.locales import schemas

SCHEMAS = {schema.node_id: schema for schema in schemas()}
WORDS = {
    "prompt weight": ["FluxDuetClipEncode", "FluxDuetT5Encode"],
    "style prompt": ["FluxDuetClipEncode"],
    "split prompt": ["FluxDuetDualPrompt", "FluxDuetSplit"],
    "attention": ["FluxDuetHeatmap"],
    "clip encode": ["FluxDuetClipEncode", "FluxDuetT5Encode"],
    "ksampler": ["FluxDuetSampler"],
    "duet": ["FluxDuetClipEncode", "FluxDuetT5Encode", "FluxDuetDualPrompt", "FluxDuetSampler", "FluxDuetDecode"],
}


@pytest.mark.parametrize("words", WORDS)
def test_search_finds_a_node_by_the_words_of_its_users(words):
    assert set(WORDS[words]) <= {node for node, schema in SCHEMAS.items() if words in schema.search_aliases}


def test_no_title_is_that_of_a_native_node():
    import nodes

    theirs = set(nodes.NODE_DISPLAY_NAME_MAPPINGS.values())
    assert not theirs & {schema.display_name for schema in SCHEMAS.values()}
