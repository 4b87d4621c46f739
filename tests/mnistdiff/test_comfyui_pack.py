"""The pack as a folder in ComfyUI's custom_nodes: what it holds, and how it comes and goes."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mnistdiff.cli import main
from mnistdiff.comfyui.install import FORMER_NAME, NAME, PACK, install, uninstall
from mnistdiff.comfyui.source import PUBLIC, find_source
from mnistdiff.errors import MnistdiffError

ROOT = Path(__file__).parents[2]
# as ComfyUI imports a pack: before 0.3.28 under the name of its folder, later under its path
LOAD = """
import importlib.util, sys
name, folder, lacking = sys.argv[1:]
if lacking:
    class Lacking:
        def find_spec(self, name, path=None, target=None):
            if name in ("mnistdiff", "mnistdiff.comfyui"):
                raise ModuleNotFoundError("No module named 'mnistdiff'", name=name)
    sys.meta_path.insert(0, Lacking())
spec = importlib.util.spec_from_file_location(name, f"{folder}/__init__.py")
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(sorted(module.NODE_CLASS_MAPPINGS))
"""


@pytest.fixture
def comfyui(tmp_path):
    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "nodes.py").touch()
    return tmp_path


def load(name, folder, lacking=False):
    command = [sys.executable, "-c", LOAD, name, str(folder), "yes" if lacking else ""]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_pack_has_what_comfyui_and_its_registry_expect():
    settings = tomllib.loads((PACK / "pyproject.toml").read_text())
    assert settings["project"]["name"] == NAME
    assert settings["tool"]["comfy"]["requires-comfyui"] == ">=0.3.23"
    assert (PACK / settings["project"]["license"]["file"]).read_text() == (
        ROOT / "LICENSE"
    ).read_text()
    assert Path(settings["tool"]["comfy"]["Icon"]).name == "icon.png"
    required = (PACK / "requirements.txt").read_text().split("\n")[:-1]
    assert required == settings["project"]["dependencies"] == [f"mnistdiff @ {PUBLIC}"]
    assert (PACK / "icon.png").read_bytes()[:4] == b"\x89PNG"
    readme = (PACK / "README.md").read_text()
    assert f"mnistdiff comfyui install path/to/ComfyUI\n" in readme  # noqa: F541
    help_page = (PACK / "web" / "docs" / "MnistdiffLoader.md").read_text()
    assert help_page.startswith("# Load tiny-mnist-sd\n")


def test_a_wheel_holds_the_whole_pack():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packed = {
        path for pattern in patterns["package-data"]["mnistdiff"]
        for path in (ROOT / "mnistdiff").glob(pattern)
    }  # fmt: skip
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", PACK],
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout.split()
    missing = {ROOT / name for name in tracked if not name.endswith(".py")} - packed
    assert tracked
    assert not missing


@pytest.mark.parametrize("name", [NAME, "/any/path/custom_nodes/mnistdiff-nodes"])
def test_it_loads_as_old_and_new_versions_import_it(comfyui, name):
    done = load(name, install(comfyui))
    assert done.stdout == "['MnistdiffLoader']\n", done.stderr


def test_its_folder_is_not_called_as_the_library(comfyui):
    """Before 0.3.28 ComfyUI registers the pack under its folder's name, which hid the library."""
    assert install(comfyui).name != "mnistdiff"
    copy = comfyui / "custom_nodes" / "mnistdiff"
    shutil.copytree(PACK, copy)
    assert (
        f"Rename the folder {copy} to mnistdiff-nodes"
        in load("mnistdiff", copy, lacking=True).stderr
    )


def test_a_python_without_the_library_is_told_what_to_install(comfyui):
    done = load(NAME, install(comfyui), lacking=True)
    assert f'{sys.executable} -m pip install "{ROOT}"' in done.stderr


def test_the_remedy_names_what_pip_can_install(tmp_path):
    pack = tmp_path / "site-packages" / "mnistdiff" / "comfyui"
    note = tmp_path / "site-packages" / "mnistdiff-0.1.0.dist-info" / "direct_url.json"
    wheel = tmp_path / "a folder" / "mnistdiff-0.1.0-py3-none-any.whl"
    for path in (pack, note.parent, wheel.parent):
        path.mkdir(parents=True)
    assert find_source(pack) == PUBLIC
    note.write_text(json.dumps({"url": wheel.as_uri()}))
    assert find_source(pack) == PUBLIC  # the wheel is gone
    wheel.touch()
    assert find_source(pack) == str(wheel)
    note.write_text(json.dumps({"url": "https://github.com/mnistdiff/mnistdiff"}))
    assert find_source(pack) == PUBLIC


def test_install_links_once_and_refuses_in_words(comfyui, tmp_path_factory):
    with pytest.raises(MnistdiffError, match="is not a ComfyUI folder"):
        install(tmp_path_factory.mktemp("other"))
    link = install(comfyui)
    before = link.lstat()
    assert install(comfyui) == link
    assert link.lstat() == before
    assert link.resolve() == PACK
    link.unlink()
    link.mkdir()
    with pytest.raises(MnistdiffError, match="is not our node pack"):
        install(comfyui)
    assert uninstall(comfyui) == []
    assert link.is_dir()


@pytest.mark.parametrize("name", [NAME, FORMER_NAME])
def test_links_of_a_moved_clone_and_of_an_older_version_are_replaced(comfyui, tmp_path, name):
    stale = comfyui / "custom_nodes" / name
    stale.symlink_to(tmp_path / "moved" / "mnistdiff" / "comfyui")
    link = install(comfyui)
    assert link.resolve() == PACK
    assert [path.name for path in link.parent.iterdir()] == [NAME]


def test_a_copy_is_replaced_and_removed(comfyui):
    copy = comfyui / "custom_nodes" / NAME
    shutil.copytree(PACK, copy)
    assert install(comfyui).is_symlink()
    copy.unlink()
    shutil.copytree(PACK, copy)
    assert uninstall(comfyui) == [copy]
    assert not list(copy.parent.iterdir())


def test_where_links_are_forbidden_it_is_copied(comfyui, monkeypatch):
    def refuse(*_, **__):
        raise OSError(1314, "a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for _ in range(2):
        place = install(comfyui)
        assert not place.is_symlink()
        assert load(NAME, place).stdout == "['MnistdiffLoader']\n"


def test_the_commands_install_and_uninstall(comfyui, capsys):
    place = comfyui / "custom_nodes" / NAME
    assert main(["comfyui", "install", str(comfyui)]) == 0
    assert place.is_symlink()
    assert main(["comfyui", "uninstall", str(comfyui)]) == 0
    assert not place.is_symlink()
    assert str(place) in capsys.readouterr().out
    assert main(["comfyui", "uninstall", str(comfyui)]) == 0
