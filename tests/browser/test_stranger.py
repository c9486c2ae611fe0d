"""The walk through docs/first_contact.md has every task of its table."""

import re

from flux_duet.devtools.stranger.__main__ import DOC
from flux_duet.devtools.stranger.tasks import TASKS


def test_every_task_of_the_table_is_walked():
    rows = re.findall(r"^\| (\d+b?) \|(.*)\|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert [number for number, _ in rows] == list(TASKS)
