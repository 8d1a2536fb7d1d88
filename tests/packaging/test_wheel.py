"""What is built is complete, needs only its dependencies, and is ready for the index."""

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

for builder in ("build.env", "hatchling.build", "hatch_fancy_pypi_readme"):
    pytest.importorskip(builder, reason=f"without {builder} no wheel can be built")

ROOT = Path(__file__).parents[2]
CORE = ("unit", "conformance")
NEEDED_BY_TESTS = ("pytest", "hypothesis", "numpy", "cloudpickle")
COMES_WITH_VENV = {"pip", "setuptools"}
LAYERS = """
import attrs
from mergeparam import *

@mergeable("deterministic")
@attrs.frozen
class Dropout:
    deterministic: bool | None = None

    def __call__(self, x, *, deterministic: bool = MERGED):
        return "kept" if deterministic else "dropped"
"""


def run(*command, folder, **environment):
    """Run a command outside this environment; return its output."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE_", "COV_", "MERGEPARAM_", "PYTHON"))
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build an sdist, and a wheel from it; return the folder of both."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("mergeparam-*-py3-none-any.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """Return the folder of the unpacked sdist."""
    (path,) = built.glob("mergeparam-*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    return folder / path.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Install the wheel into a new environment; return its interpreter."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, folder=folder)
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(interpreter, "-m", "pip", "install", "--quiet", wheel, folder=folder)
    return interpreter


@pytest.fixture(scope="module")
def beside(python, tmp_path_factory):
    """Install the packages that tests need into a folder outside the environment."""
    folder = tmp_path_factory.mktemp("beside")
    install = ("install", "--quiet", "--target", folder)
    run(python, "-m", "pip", *install, *NEEDED_BY_TESTS, folder=folder)
    return folder


def files_below(folder):
    """Return the paths of all files except those that tools leave behind."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in paths
        if path.suffix != ".pyc" and not any(part.startswith(".") for part in path.parts)
    }


def test_wheel_holds_the_package_alone(wheel, unpacked):
    """The wheel holds all files of the package, and besides them only metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    description = {name for name in names if ".dist-info/" in name}

    assert files_below(unpacked / "src") == names - description
    assert "mergeparam/py.typed" in names
    assert {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"} == {
        name.partition(".dist-info/")[2] for name in description
    }


@pytest.fixture(scope="module")
def metadata(wheel):
    """Return what the wheel says of itself; its payload is the long description."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_metadata(metadata):
    """The dependencies and names are those of the project, and one version is the others'."""
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1]
    required = [item for item in metadata.get_all("Requires-Dist") if "extra ==" not in item]

    assert ["attrs>=24.1", "typing-extensions>=4.13"] == sorted(required)
    assert "mergeparam" == metadata["Name"]
    assert ">=3.11" == metadata["Requires-Python"]
    assert "Apache-2.0" == metadata["License-Expression"]
    assert "The mergeparam developers" == metadata["Author"]
    assert cited == metadata["Version"] == version("mergeparam")


def test_description(metadata, built):
    """It is the README, and the index can show it: each link and each image has an address."""
    markdown = pytest.importorskip("readme_renderer.markdown", reason="nothing renders a README")
    text = metadata.get_payload(decode=True).decode()
    shown = markdown.render(text)
    addresses = re.findall(r'(?:href|src)="([^#].*?)"', shown)
    prose = [line for line in (ROOT / "README.md").read_text().splitlines() if "](" not in line]

    assert set(prose) <= set(text.splitlines())
    assert {"https"} == {address.partition(":")[0] for address in addresses}
    assert not [text for text in addresses if "readthedocs" in text and ".md" in text]
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir(), folder=ROOT)


def test_size(built):
    """What is downloaded is small: measured values stay in the repository."""
    sizes = {path.suffix: path.stat().st_size for path in built.iterdir()}

    assert {".whl", ".gz"} == sizes.keys()
    assert max(sizes.values()) < 500_000


@pytest.mark.parametrize("folder", ["src", "tests", "examples", "benchmarks", "docs"])
def test_sdist_holds_the_folder(unpacked, folder):
    """The sdist has all sources, tests and pages of the folder."""
    ours, theirs = files_below(ROOT / folder), files_below(unpacked / folder)

    assert theirs
    assert theirs <= ours
    # The README of the benchmarks is made of measured values.
    texts = {name for name in ours if name.endswith((".py", ".md", ".typed"))} - {"README.md"}
    assert texts <= theirs


@pytest.mark.parametrize(
    "name", ["CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "pyproject.toml"]
)
def test_sdist_holds_the_file(unpacked, name):
    """Files about the whole project are in the sdist."""
    assert (ROOT / name).read_bytes() == (unpacked / name).read_bytes()


def test_environment_holds_the_dependencies_alone(python, tmp_path):
    """The wheel installs attrs and typing-extensions, and nothing else."""
    listed = json.loads(run(python, "-m", "pip", "list", "--format=json", folder=tmp_path))
    names = {item["name"].replace("_", "-").lower() for item in listed}

    assert {"mergeparam", "attrs", "typing-extensions"} == names - COMES_WITH_VENV


def test_package_works_there(python, tmp_path):
    """All public names can be imported, and a class merges."""
    calls = "Dropout(True)(1), Dropout()(1, deterministic=False), mergeparam.__file__"
    script = f"{LAYERS}\nimport mergeparam\nprint({calls}, sep='\\n')"
    *results, file = run(python, "-I", "-W", "error", "-c", script, folder=tmp_path).splitlines()

    assert ["kept", "dropped"] == results
    assert Path(file).is_relative_to(python.parents[1])


def test_command_works_there(python, tmp_path):
    """The command is installed, and works without the extra `cli`."""
    (tmp_path / "layers.py").write_text(LAYERS)
    printed = run(python.with_name("mergeparam"), "show", "layers:Dropout", folder=tmp_path)

    assert printed.startswith("layers:Dropout\n")


def test_first_example_of_the_readme(python, beside, tmp_path):
    """The README's first example runs, with NumPy from outside the environment."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    script = f"import sys; sys.path.append({str(beside)!r})\n{example}"

    assert "@mergeable(" in example
    assert "" == run(python, "-I", "-W", "error", "-c", script, folder=tmp_path)


def test_core_of_the_suite(python, beside, unpacked, tmp_path):
    """The core tests of the sdist pass with the package of the wheel."""
    file = "import mergeparam; print(mergeparam.__file__)"
    where = run(python, "-c", file, folder=tmp_path, PYTHONPATH=str(beside)).strip()
    folders = [unpacked / "tests" / name for name in CORE]
    options = ("-q", "-p", "no:cacheprovider", "--basetemp", tmp_path / "pytest")
    printed = run(
        *(python, "-m", "pytest", *options, *folders), folder=tmp_path, PYTHONPATH=str(beside)
    )

    assert Path(where).is_relative_to(python.parents[1])
    assert int(re.search(r"(\d+) passed", printed)[1]) > 500
