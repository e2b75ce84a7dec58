"""What is installed is what lies in the source tree: sdist, wheels, editable install."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from saver._scripts import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".*cache", ".venv*", "*.egg-info", "__pycache__", "build")
LOOK = """
import json
from importlib.resources import files
import saver
from saver._scripts import scripts
print(json.dumps({
    "package": saver.__file__,
    "typed": (files("saver") / "py.typed").is_file(),
    "scripts": {name: script.sha for name, script in scripts().items()},
}))
"""


@dataclass
class Built:
    """What was built from one copy of the source tree."""

    folder: Path

    @property
    def tree(self) -> Path:
        """The copy."""
        return self.folder / "tree"

    @property
    def sdist(self) -> Path:
        """The sdist."""
        (found,) = (self.folder / "sdist").glob("*.tar.gz")
        return found

    def wheel(self, origin: str) -> Path:
        """The wheel built from the `tree` or from the `sdist`."""
        (found,) = (self.folder / f"from-{origin}").glob("*.whl")
        return found


def run(*words: str | Path, **options: Any) -> str:
    """Runs a command outside the source tree, without an index; returns its output."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def offline(folder: Path) -> dict[str, str]:
    """An environment in which pip finds the build backend in a folder, and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    links = str(folder / "backend")
    return {**kept, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "PIP_CONFIG_FILE": os.devnull}


def build_all(folder: Path) -> None:
    """Copies the tree; builds sdist, a wheel from it, and a wheel from the tree."""
    got = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "-qd", "backend", "setuptools>=77"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    if got.returncode:
        (folder / "no-backend").write_text(got.stderr)
        return
    tree, env = folder / "tree", offline(folder)
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
    build = (sys.executable, "-m", "build", "--outdir")
    run(*build, folder / "sdist", "--sdist", tree, cwd=folder, env=env)
    run(*build, folder / "from-tree", "--wheel", tree, cwd=folder, env=env)
    shutil.rmtree(tree / "build", ignore_errors=True)
    unpacked = folder / "unpacked"
    with tarfile.open(Built(folder).sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    run(*build, folder / "from-sdist", "--wheel", source, cwd=folder, env=env)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Everything built, once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            build_all(folder)
            (folder / "done").touch()
    if (folder / "no-backend").exists():
        reason = (folder / "no-backend").read_text()
        pytest.skip(f"no setuptools>=77 to build with (no package index?): {reason[-300:]}")
    return Built(folder)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Path]:
    """A fresh virtual environment that sees our dependencies, and not this package."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A folder named in a .pth file is searched, but its own .pth files (our editable install) are
    # not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    asked = [folder / "bin" / "python", "-Ic", "import importlib.util as it, redis; print("]
    asked[-1] += "it.find_spec('saver'))"
    assert run(*asked, cwd=tmp_path) == "None\n"
    yield folder
    shutil.rmtree(folder)


def install(environment: Path, folder: Path, *words: str | Path) -> dict[str, Any]:
    """Installs into an environment; returns what its interpreter sees from outside the tree."""
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python")
    run(*pip, "install", "-q", "--no-deps", *words, cwd=environment, env=offline(folder))
    seen: dict[str, Any] = json.loads(
        run(environment / "bin" / "python", "-Ic", LOOK, cwd=environment)
    )
    return seen


def source_scripts() -> dict[str, str]:
    """SHA-1 of each script of the source tree."""
    found = {name: script.sha for name, script in scripts().items()}
    assert set(found) == {path.stem for path in (ROOT / "lua").glob("*.lua")}
    return found


def assert_command_works(environment: Path) -> None:
    """The `saver` command of an environment starts, and knows its subcommands."""
    assert "scripts" in run(environment / "bin" / "saver", "--help", cwd=environment)


@pytest.mark.parametrize("origin", ["tree", "sdist"])
def test_wheel(built: Built, environment: Path, origin: str) -> None:
    """A wheel brings the source tree's scripts, py.typed and a command that starts."""
    seen = install(environment, built.folder, built.wheel(origin))
    assert Path(seen["package"]).is_relative_to(environment)
    assert seen["typed"]
    assert seen["scripts"] == source_scripts()
    assert_command_works(environment)


def test_editable_install(built: Built, environment: Path, tmp_path: Path) -> None:
    """An editable install runs the scripts where they lie in the source tree."""
    tree = tmp_path / "tree"
    shutil.copytree(built.tree, tree, ignore=LEFT_OUT)
    seen = install(environment, built.folder, "-e", tree)
    assert Path(seen["package"]).is_relative_to(tree)
    assert seen["typed"]
    assert seen["scripts"] == source_scripts()
    assert_command_works(environment)
    script = tree / "lua" / "put.lua"
    script.write_text(script.read_text() + "-- edited\n")
    again = json.loads(run(environment / "bin" / "python", "-Ic", LOOK, cwd=tmp_path))
    assert again["scripts"]["put"] != seen["scripts"]["put"]


@pytest.mark.parametrize("origin", ["tree", "sdist"])
def test_contents_of_wheel(built: Built, origin: str) -> None:
    """A wheel holds every module and script of ours, the licence, and nothing else."""
    with zipfile.ZipFile(built.wheel(origin)) as wheel:
        names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "saver").rglob("*.py")}
    lua = {f"saver/{path.relative_to(ROOT)}" for path in (ROOT / "lua").rglob("*.lua")}
    ours = {name for name in names if ".dist-info/" not in name}
    assert ours == modules | lua | {"saver/py.typed"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_contents_of_sdist(built: Built) -> None:
    """An sdist holds the scripts at the top level, the licence and the readme."""
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    lua = {str(path.relative_to(ROOT)) for path in (ROOT / "lua").rglob("*.lua")}
    assert lua | {"LICENSE", "README.md", "pyproject.toml", "saver/py.typed"} <= names
