"""Directives that run code while the documentation is built, and show its output.

So the outputs, errors and bytecode on a page are those of the current version.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import traceback
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx

_MODULES, _SETUP = "run_at_build_modules", "run_at_build_setup"


class _Running(SphinxDirective):
    """Base of the directives: makes a block for the code and one for its output."""

    def _block(self, text: str, language: str, *classes: str) -> nodes.literal_block:
        block = nodes.literal_block(text, text, language=language, classes=[*classes])
        self.set_source_info(block)
        return block

    def _printed(self, text: str, language: str, *classes: str) -> nodes.literal_block:
        return self._block(text.rstrip("\n"), language, "printed", *classes)


class RunDirective(_Running):
    """Run Python code, and show it above its output.

    All blocks of a page share one module. An error fails the build, unless `:raises:` names its
    class; then the end of its traceback is shown. `:warns:` does the same for warnings.
    """

    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {
        "hide-code": directives.flag,
        "hide-output": directives.flag,
        "language": directives.unchanged,
        "raises": directives.unchanged_required,
        "warns": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the code, and the output if there is any."""
        source = "\n".join(self.content)
        printed = self._run(source)
        shown: list[nodes.Node] = []
        if "hide-code" not in self.options:
            shown.append(self._block(source, "python"))
        if printed and "hide-output" not in self.options:
            prose = ["prose"] if {"raises", "warns"} & {*self.options} else []
            shown.append(self._printed(printed, self.options.get("language", "text"), *prose))
        return shown

    def _run(self, source: str) -> str:
        place = f"{self.env.docname}.md"
        code = compile("\n" * (self.content_offset + 1) + source, place, "exec")
        output = io.StringIO()
        with contextlib.redirect_stdout(output), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            raised = self._execute(code)
        self._check("raises", [] if raised is None else [raised])
        self._check("warns", [item.message for item in warned])
        messages = [raised, *(item.message for item in warned)]
        ends = [_end_of_traceback(message) for message in messages if message is not None]
        return output.getvalue() + "".join(ends)

    def _execute(self, code: types.CodeType) -> Exception | None:
        try:
            exec(code, vars(self._module()))  # noqa: S102 - the page's own code
        except Exception as error:
            if "raises" not in self.options:
                raise
            return error
        return None

    def _check(self, option: str, found: list[Any]) -> None:
        """Fail the build unless exactly the expected errors or warnings were raised."""
        expected = self.options.get(option, "").split()
        names = [type(item).__name__ for item in found]
        if names != expected:
            msg = f"expected :{option}: {' '.join(expected)}, but it was {' '.join(names)}"
            raise self.error(msg)

    def _module(self) -> types.ModuleType:
        """Return the module that the blocks of this page share.

        Dataclasses look up their module in `sys.modules`, so it is registered there.
        """
        modules = self.env.temp_data.setdefault(_MODULES, {})
        if self.env.docname not in modules:
            name = f"page_{self.env.docname.replace('/', '_').replace('-', '_')}"
            modules[self.env.docname] = sys.modules[name] = types.ModuleType(name)
        module: types.ModuleType = modules[self.env.docname]
        return module


class MistakesDirective(_Running):
    """Show code that is wrong, beside what is said of it: an error, a warning, or an exit code.

    Blank lines separate the mistakes. The block with `:setup:` is run before each of them, so that
    none changes what another one finds.
    """

    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {"setup": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Return a table with a row for each mistake."""
        if "setup" in self.options:
            self.env.temp_data[_SETUP] = "\n".join(self.content)
            return [self._block(self.env.temp_data[_SETUP], "python")]
        group = nodes.tgroup(cols=2)
        body = nodes.tbody()
        for mistake in split_mistakes("\n".join(self.content)):
            said = what_is_said(mistake, self.env.temp_data[_SETUP], self.env.srcdir)
            if not said:
                msg = f"nobody says anything about {mistake}"
                raise self.error(msg)
            is_command = mistake.startswith("$")
            code = self._block(mistake, "console" if is_command else "python", "prose")
            cells = nodes.entry("", code), nodes.entry("", self._printed(said, "text", "prose"))
            body += nodes.row("", *cells)
        group += [nodes.colspec(colwidth=2), nodes.colspec(colwidth=3), body]
        return [nodes.table("", group, classes=["mistakes"])]


def split_mistakes(text: str) -> list[str]:
    """Return the mistakes in a block."""
    return [mistake.strip("\n") for mistake in re.split(r"\n\n+", text)]


def what_is_said(mistake: str, setup: str, docs: str | Path) -> str:
    """Return the errors and warnings that code leads to, or what a failing command prints."""
    if mistake.startswith("$ "):
        done = _run_command(mistake.removeprefix("$ "), Path(docs) / "_examples")
        return done.stderr if done.returncode else ""
    module = types.ModuleType("mistakes")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        exec(setup, vars(module))  # noqa: S102 - the page's own code
        try:
            code = compile(mistake, "mistakes.py", "exec")  # what stands in no file is generated
            exec(code, vars(module))  # noqa: S102 - likewise
        except Exception as error:  # noqa: BLE001 - that is what the page is about
            return _end_of_traceback(error)
    return "".join([f"{item.category.__name__}: {item.message}\n" for item in warned])


def _run_command(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    return subprocess.run(  # noqa: S603 - the page's own command
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


class CommandDirective(_Running):
    """Run a command in the folder `_examples`, and show its output; with `:wrap:`, as prose."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {
        "exit-code": directives.nonnegative_int,
        "language": directives.unchanged,
        "wrap": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Return the command, and the output."""
        folder = Path(self.env.srcdir) / "_examples"
        done = _run_command(self.arguments[0], folder)
        if done.returncode != self.options.get("exit-code", 0):
            msg = f"exit code {done.returncode}: {done.stderr}"
            raise self.error(msg)
        printed = (done.stdout + done.stderr).replace(f"{folder}{os.sep}", "")
        prose = ["prose"] if "wrap" in self.options else []
        return [
            self._block(f"$ {self.arguments[0]}", "console"),
            self._printed(printed, self.options.get("language", "text"), *prose),
        ]


class BenchmarksDirective(_Running):
    """Show one section of the benchmark report, without its title."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the section."""
        report = Path(self.env.srcdir).parent / "benchmarks" / "README.md"
        self.env.note_dependency(report)
        _, found, rest = report.read_text(encoding="utf-8").partition(
            f"\n## {self.arguments[0]}\n"
        )
        if not found:
            msg = f"{report} has no section {self.arguments[0]!r}"
            raise self.error(msg)
        section, _, _ = rest.partition("\n## ")
        # Files that are linked are not on the site; images lie where the report has them.
        section = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", section)
        folder = os.path.relpath(report.parent, Path(self.env.doc2path(self.env.docname)).parent)
        images = rf"![\1]({Path(folder).as_posix()}/"
        return self.parse_text_to_nodes(re.sub(r"!\[([^\]]*)\]\((?!https?:)", images, section))


def _end_of_traceback(error: BaseException | str) -> str:
    if isinstance(error, str):
        return f"{error}\n"
    return "".join(traceback.format_exception_only(error))


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives with Sphinx."""
    app.add_directive("run", RunDirective)
    app.add_directive("mistakes", MistakesDirective)
    app.add_directive("command", CommandDirective)
    app.add_directive("benchmarks", BenchmarksDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
