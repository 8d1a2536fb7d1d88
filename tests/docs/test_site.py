"""The documentation builds without a warning, and no link inside it is broken."""

import html.parser
import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.parse
from pathlib import Path

import pytest

import mergeparam
from mergeparam._static.rules import load_rules

for package in ("sphinx", "myst_parser", "furo", "sphinx_copybutton", "sphinx_design"):
    pytest.importorskip(package, reason=f"without {package} no documentation can be built")

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT / "docs").with_suffix(".html")
    for path in (ROOT / "docs").rglob("*.md")
    if "_examples" not in path.parts
}


class Page(html.parser.HTMLParser):
    """What a page points to, and what in it can be pointed to."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in {"href", "src"} and value:
                self.targets.append(value)
            elif name == "id":
                self.ids.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the documentation as a release would; return its folder."""
    out = tmp_path_factory.mktemp("site")
    strict = ("-n", "-W", "--keep-going", "-q", "-E", "-d", tmp_path_factory.mktemp("doctrees"))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *strict, "-b", "html", ROOT / "docs", out],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site): Page(path) for path in site.rglob("*.html")}


def text_of(site, page):
    source = (site / page).read_text(encoding="utf-8")
    return html.unescape(re.sub(r"<[^>]+>", "", source))


def broken_links(site, pages):
    for path, page in pages.items():
        for target in page.targets:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = site / path if not parts.path else (site / path).parent / parts.path
            found = place / "index.html" if place.is_dir() else place
            fragment = urllib.parse.unquote(parts.fragment)
            known = pages.get(Path(os.path.relpath(found, site)))
            if not found.exists() or (fragment and known and fragment not in known.ids):
                yield f"{path} -> {target}"


def test_every_page_is_there(pages):
    """Each file of Markdown has become a page."""
    assert set() == PAGES - pages.keys()


def test_no_link_inside_is_broken(site, pages):
    """Files and the places in them exist."""
    assert [] == list(broken_links(site, pages))
    assert sum(len(page.targets) for page in pages.values()) > 500


def test_broken_links_are_found(tmp_path):
    """The check sees a missing file and a missing place."""
    (tmp_path / "a.html").write_text(
        '<p id="x"><a href="#x"><a href="#y"><a href="b.html"><a href="https://elsewhere">'
    )

    found = list(broken_links(tmp_path, {Path("a.html"): Page(tmp_path / "a.html")}))

    assert ["a.html -> #y", "a.html -> b.html"] == found


@pytest.mark.parametrize("name", mergeparam.__all__)
def test_every_public_name_is_in_the_reference(pages, name):
    """Each has an entry that one can link to."""
    assert f"mergeparam.{name}" in pages[Path("reference/api.html")].ids


@pytest.mark.parametrize("code", load_rules())
def test_every_rule_has_a_page(site, code):
    """It has the texts that `mergeparam check --explain` prints."""
    rule, text = load_rules()[code], text_of(site, f"reference/rules/{code.lower()}.html")

    assert rule.wrong.strip() in text
    assert rule.right.strip() in text


def test_the_build_prints_the_merge(site):
    """The source and the instructions of the merge are those of this version."""
    text = text_of(site, "explanation/how-it-works.html")

    assert "if deterministic is None:\n        deterministic = self.deterministic\n" in text
    assert re.search(r"> +\d+ +\d+ +LOAD_ATTR +.*deterministic", text)
    assert "the merge is in a wrapper" not in text


@pytest.mark.parametrize(
    "says",
    [
        "mergeparam.errors.MissingParamError: Dropout.__call__(): 'deterministic' is set in neith",
        "mergeparam.errors.ConflictingParamError: Dropout.__call__(): 'deterministic' is set in b",
        "mergeparam.errors.MergeDefinitionError: Layer.__call__() has no parameter 'determinstic'",
        "mergeparam.errors.MergeWarning: Layer.__call__() merges 'deterministic', and line",
    ],
)
def test_the_build_prints_the_errors(site, says):
    """The texts are those that this version raises."""
    assert says in text_of(site, "reference/errors.html")


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("migrate", "how-to/index"),
        ("overhead", "faq"),
        ("timeout", "how-to/clients-and-sessions"),
        ("glossary", "reference/glossary"),
        ("policy", "how-to/policies"),
    ],
)
def test_search_finds_it(site, word, page):
    """The words that people look for lead to a page."""
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip(")"))
    stems = {word, word[:-1], f"{word[:-1]}i"}
    hits = [index[kind].get(stem, []) for kind in ("terms", "titleterms") for stem in stems]
    pages = {at for hit in hits for at in (hit if isinstance(hit, list) else [hit])}

    assert page in {index["docnames"][at] for at in pages}


def test_the_house_is_that_of_the_code(site):
    """Every part is in the picture, on the floor that the contract of the imports gives it."""
    page = (site / "explanation/architecture.html").read_text(encoding="utf-8")
    drawn = re.findall(r'<text x="[\d.]+" y="(\d+)">(\w+)</text>', page)[1:]
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    order = re.findall(r"\w+", " ".join(layers["contracts"][0]["layers"]))
    parts = {path.stem for path in Path(mergeparam.__file__).parent.glob("[!_]*.py")}
    parts |= {path.stem for path in Path(mergeparam.__file__).parent.glob("_[!_]*")}
    parts |= {"__main__"}

    assert parts - {"__pycache__"} == {name for _, name in drawn}
    assert [name for name in order if name in parts] == [name for _, name in drawn]
    assert sorted(drawn, key=lambda item: int(item[0])) == drawn


def test_pages_name_no_folder_of_the_builder(site):
    """What the build printed has no path of the machine that has built it."""
    for path in site.rglob("*.html"):
        assert str(ROOT) not in path.read_text(encoding="utf-8"), path


def test_nothing_generated_is_kept():
    """No page is in the repository."""
    assert [] == list((ROOT / "docs").rglob("*.html"))
