// Runs pytest inside Pyodide, the CPython that is compiled to WebAssembly.
//
//   node --stack-size=7000 .ci/pyodide.mjs PYODIDE PACKAGES pytest-arguments...
//
// PYODIDE is the folder of the npm package, PACKAGES a folder that pip has installed into, with
// mergeparam in it. The tests are read from the working folder.
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [folder, packages, ...options] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(folder, "pyodide.mjs")));
const pyodide = await loadPyodide();

const mount = (place, path) => {
  pyodide.FS.mkdirTree(place);
  pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: resolve(path) }, place);
};
mount("/packages", packages);
mount("/project", ".");
pyodide.globals.set("options", pyodide.toPy(options));

process.exitCode = await pyodide.runPythonAsync(`
import asyncio
import os
import platform
import sys

sys.path.insert(0, "/packages")
sys.dont_write_bytecode = True
os.chdir("/project")

import pytest


def run(coroutine):
    """Run to the end what awaits nothing but its turn: the loop of the browser runs already."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value


asyncio.run = run

from mergeparam._inject.splice import can_splice

print(f"Pyodide: Python {platform.python_version()} on {sys.platform}, {can_splice() = }")
if not can_splice():
    sys.exit("Pyodide has the bytecode of CPython, and should splice")
int(pytest.main(options))
`);
