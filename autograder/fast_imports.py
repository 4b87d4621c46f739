"""Import this before nbformat and nbgrader: they then load two seconds faster.

Their jsonschema would import a grammar of web addresses, which checks a format that notebooks do
not use.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType]  # None blocks it
