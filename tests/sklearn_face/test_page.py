"""The page of the estimators runs as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "estimators.md"


def test_the_code_of_the_page_runs(capsys):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(block, names)
    assert names["network"].selected_features_.sum() < 30
    assert names["chosen"].strength_ in names["chosen"].strengths_
    assert "worst" in capsys.readouterr().out
