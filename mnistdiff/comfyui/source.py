"""Where pip finds this library, for a ComfyUI whose Python lacks it: the standard library only."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

PUBLIC = "git+https://github.com/mnistdiff/mnistdiff"


def find_source(folder: Path) -> str:
    """Return what to give to pip: this clone, the installed wheel, or else the public address.

    `folder` is that of the pack, links resolved.
    """
    root = folder.parents[1]
    if (root / "pyproject.toml").is_file() and (root / "mnistdiff").is_dir():
        return str(root)
    return next(_recorded(root), PUBLIC)


def _recorded(site_packages: Path) -> Iterator[str]:
    """Yield the file or folder that pip noted beside an installed library, if it still exists."""
    for note in site_packages.glob("mnistdiff-*.dist-info/direct_url.json"):
        path = url2pathname(urlparse(json.loads(note.read_text())["url"]).path)
        if Path(path).exists():
            yield path
