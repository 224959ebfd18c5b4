"""The queries of analyses.sql by their names, in their order."""

import re
from pathlib import Path


def queries() -> dict[str, str]:
    _, *parts = re.split(r"^-- (\w+)$", Path(__file__).with_name("analyses.sql").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))
