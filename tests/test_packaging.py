"""What is built from the sources is whole: a wheel works without them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import concept_fragmentation

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]

NOT_PACKAGED = {"tests", "benchmarks", "examples", "docs"}
MADE = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "gpt2_analysis"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of the sources."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, folder / "sources", ignore=MADE)
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([sys.executable, "-m", "pip", *command, folder / "sources"], check=True)
    (built,) = folder.glob("*.whl")
    return built


def sources() -> set[str]:
    """Return the files that an installed package needs, by their path from the root."""
    patterns = (
        "*.py",
        "py.typed",
        "assets/**/*",
        "components/templates/*",
        "data/*",
        "data/tiny_gpt2/*",
    )
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."]
    found = {path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(pattern)}
    # `**` at the root would walk through the environments, too.
    for pattern in ("*.py", "*.pyi"):
        found |= {path.relative_to(ROOT) for folder in folders for path in folder.rglob(pattern)}
    return {
        path.as_posix()
        for path in found
        if (ROOT / path).is_file()
        and path.parts[0] not in NOT_PACKAGED | {"build", "dist"}
        and not path.parts[0].startswith(".")
    }


def test_a_wheel_holds_every_module_and_every_file_that_is_served(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packaged = {
            name.removeprefix("concept_fragmentation/")
            for name in archive.namelist()
            if name.startswith("concept_fragmentation/")
        }
    assert packaged == sources()
    assert {"assets/dashboard.css", "data/demo_analysis.json", "py.typed", "cli.py"} <= packaged


def test_a_wheel_says_what_it_is(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
        assert any(name.endswith("LICENSE") for name in names)
    assert f"Version: {project['version']}" in text
    assert "# Concept Fragmentation" in text


def test_the_dashboard_works_from_a_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    script = """
import sys
from pathlib import Path
from concept_fragmentation import app, cli
assert Path(app.__file__).is_relative_to(sys.argv[1]), app.__file__
client = app.create_server().test_client()
for path in ("/", "/_dash-layout", "/assets/dashboard.css", "/assets/gestures.js"):
    assert client.get(path).status_code == 200, path
print(app.demo_analysis()["metadata"]["name"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, site],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert "not GPT-2" in done.stdout
    assert (tmp_path / "data" / "gpt2_analysis" / "metadata").is_dir()


def test_the_package_shows_its_version_and_its_modules_without_loading_them() -> None:
    asked = (
        "import sys, concept_fragmentation as package; names = dir(package); "
        "print(package.__version__, sorted(name for name in names if name[0] != '_'), "
        "sorted({'numpy', 'dash', 'plotly', 'torch'} & set(sys.modules))); "
        "print(package.analysis.analyze.__name__, package.persistence.__name__)"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    version = metadata.version("concept-fragmentation")
    assert said[0] == f"{version} ['analysis', 'figures', 'persistence'] []"
    assert said[1] == "analyze concept_fragmentation.persistence"
    with pytest.raises(AttributeError, match="nothing_such"):
        concept_fragmentation.nothing_such  # noqa: B018
