"""Keys of cached results: MODEL and CLIP use the same list of fields, and a patcher with other changes has no key."""

import comfy.sd
import pytest
import torch

from flux_duet.nodes.disk.fingerprints import REFUSED, digest, of_patcher
from flux_duet.nodes.encode.embeddings.cached import key_of
from flux_duet.nodes.encode.encoding import T5XXL
from flux_duet.nodes.probe.grid.identity import of_model

CHUNKS = [[(3, 1.0), (1, 1.0)]]


@pytest.fixture(scope="module")
def loaded(tiny):
    return comfy.sd.load_diffusion_model(str(tiny["flux"]))


@pytest.fixture(params=["a MODEL", "a CLIP"])
def kept(request, loaded, singles):
    """(a clone's patcher, `key()` of its cached results)."""
    if request.param == "a MODEL":
        model = loaded.clone()
        return model, lambda: of_model(model)
    clip = singles[1].clone()
    return clip.patcher, lambda: key_of(clip, T5XXL, CHUNKS)


def test_an_attribute_that_core_may_yet_give_a_patcher_is_a_miss(kept):
    patcher, key = kept
    assert key() is not None
    patcher.activation_scale = 0.5
    assert key() is None
    del patcher.activation_scale
    assert key() is not None


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_a_miss(kept, name):
    patcher, key = kept
    setattr(patcher, name, {"any": [object()]})
    assert key() is None


@pytest.mark.parametrize("kind", ["wrappers", "callbacks"])
def test_functions_around_a_model_are_a_miss(kept, kind):
    patcher, key = kept
    getattr(patcher, kind)["any"] = {"another pack": [print]}
    assert key() is None


def test_options_and_patches_are_reported(kept):
    patcher, key = kept
    keys = [key()]
    patcher.model_options["transformer_options"]["a number"] = 1.5
    keys.append(key())
    weight = next(iter(patcher.model_state_dict()))
    patcher.patches[weight] = [(1.0, ("diff", (torch.ones(2),)), 1.0, None, None)]
    keys.append(key())
    patcher.patches[weight] = [(0.5, ("diff", (torch.ones(2),)), 1.0, None, None)]
    keys.append(key())
    assert None not in keys and len(set(keys)) == 4
    patcher.model_options["transformer_options"]["a function"] = print
    assert key() is None


def test_patches_on_another_encoder_change_nothing(singles):
    clip = singles[1].clone()
    before, other = (of_patcher(clip.patcher, prefix) for prefix in (f"{T5XXL}.", "clip_l."))
    weight = next(key for key in clip.patcher.model_state_dict() if key.startswith(f"{T5XXL}."))
    clip.patcher.patches[weight] = [(1.0, ("diff", (torch.ones(2),)), 1.0, None, None)]
    assert of_patcher(clip.patcher, "clip_l.") == other
    assert of_patcher(clip.patcher, f"{T5XXL}.") not in (before, None)


def test_a_shared_files_digest_of_patches_stays_what_it_was():
    """It is in files that people have shared."""
    patches = [("t5xxl.weight", [(1.0, ("diff", (torch.ones(2),)), 1.0, None, None)])]
    assert digest(patches) == ("e314729096d08119d794ddfc47dcd0139f631facd5ed2792c6bfb612bc7a4be7")
