"""Every row of docs/bad-inputs.md: a refusal in one line, and the one that the page states."""

import pytest
from bad_inputs import CASES, PAGE, answer, row

ROWS = [(group, what) for group, cases in CASES.items() for what in cases]


@pytest.mark.parametrize(("group", "what"), ROWS)
def test_is_answered_as_the_page_says(group, what):
    code, text = answer(CASES[group][what])
    assert code in (1, 2)
    assert text
    section = PAGE.read_text().split(f"\n## {group}\n")[1].split("\n## ")[0]
    assert row(what, code, text) in section.splitlines()
