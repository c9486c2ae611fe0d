"""Pages drawn with PIL as IMAGEs."""

import pytest
import torch
from PIL import Image

from flux_duet.nodes.pictures import as_image


def test_a_page_is_an_image_of_its_colours():
    page = Image.new("RGB", (3, 2), (255, 0, 51))
    page.putpixel((2, 1), (0, 102, 0))
    expected = torch.tensor([1.0, 0.0, 0.2]).expand(1, 2, 3, 3).clone()
    expected[0, 1, 2] = torch.tensor([0.0, 0.4, 0.0])
    image = as_image(page)
    assert image.dtype == torch.float32 and torch.equal(image, expected)


def test_pages_of_one_size_are_a_batch_in_their_order():
    pages = [Image.new(mode, (4, 5), "white" if number else "black") for number, mode in enumerate(("RGB", "L"))]
    assert torch.equal(as_image(pages), torch.stack([torch.zeros(5, 4, 3), torch.ones(5, 4, 3)]))


@pytest.mark.parametrize("sizes", [[], [(2, 2), (2, 3)]])
def test_others_are_refused(sizes):
    with pytest.raises(ValueError, match="expected one or more of one size"):
        as_image([Image.new("RGB", size) for size in sizes])
