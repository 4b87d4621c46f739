"""Imported before nbformat and nbgrader, which then start two seconds sooner.

Their jsonschema would import a grammar of web addresses, for a format that no notebook uses.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)
