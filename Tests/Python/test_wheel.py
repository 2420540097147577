"""What is in the wheel, what it asks the system for, and the library as a program in C sees it."""
import ctypes
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import pando
import pando._library as library
from conftest import ROOT

PACKAGE = pathlib.Path(pando.__file__).parent
BINARIES = [pathlib.Path(library.PATH), pathlib.Path(pando.tool.TOOL)]
objdump = pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump")
installed = pytest.mark.skipif("PANDO_LIBRARY" in os.environ, reason="not installed from the wheel")


def tell(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


@installed
def test_the_package_is_installed_from_the_wheel():
    assert "site-packages" in str(PACKAGE) and (PACKAGE / "py.typed").exists()
    names = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {"lib/libPandoC.so", "lib/pando.h", "bin/pando", "__init__.py"} <= names
    sources = {path.name for path in (ROOT / "python/pando").glob("*.py")}
    assert sources == {name for name in names if name.endswith(".py")}


@objdump
@pytest.mark.parametrize("path", BINARIES, ids=lambda path: path.name)
def test_it_asks_for_the_c_and_c_plus_plus_libraries_only(path):
    needed = re.findall(r"NEEDED\s+(\S+)", tell("objdump", "-p", path))
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
    symbols = tell("objdump", "-T", path)
    assert max(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", symbols)) <= 36
    assert set(re.findall(r"R(?:UN)?PATH\s+(\S+)", tell("objdump", "-p", path))) <= {"$ORIGIN"}


@objdump
def test_the_library_gives_the_functions_of_the_header_and_no_others():
    header = (ROOT / "Sources/Bindings/CPando/include/pando.h").read_text()
    declared = set(re.findall(r"\b(pando_[a-z_]+)\(", re.sub(r"//.*", "", header)))
    lines = tell("objdump", "-T", BINARIES[0]).splitlines()
    exported = {line.split()[-1] for line in lines if re.search(r"\sg\s+DF?O?\s+(?!\*UND\*)", line)}
    assert exported == declared and len(declared) == 25
    known = {name for name in declared if getattr(library.C, name).argtypes is not None}
    assert known == declared


PROGRAM = r"""
#include "pando.h"
#include <stdio.h>
#include <stddef.h>
#include <string.h>

int main(int count, char **arguments) {
    printf("%zu %zu %zu\n", sizeof(pando_batch), offsetof(pando_batch, offset_count), sizeof(pando_array));
    if (pando_dataset_open("/nowhere") || !strstr(pando_error(), "no such dataset")) return 1;
    char request[4096];
    snprintf(request, sizeof request,
             "{\"sources\": [{\"dataset\": \"%s\"}], \"features\": \"released\", \"options\": {\"batchSize\": 64}}", arguments[1]);
    pando_loader *loader = pando_loader_open(request);
    if (!loader) return puts(pando_error()), 2;
    char *about = pando_loader_describe(loader), state[1024] = "", *from = strstr(about, "\"state\":");
    // The state is an object in an object; what is behind it begins with a comma.
    int depth = 0;
    for (size_t i = 0; from && i < sizeof state - 1; i++) {
        state[i] = from[8 + i];
        depth += (state[i] == '{') - (state[i] == '}');
        if (depth == 0) break;
    }
    pando_string_release(about);
    pando_epoch *epoch = pando_epoch_begin(loader, state, 0, 1);
    if (!epoch) return puts(pando_error()), 3;
    pando_batch batch;
    double sum = 0;
    long batches = 0, jets = 0;
    int32_t status;
    while ((status = pando_epoch_next(epoch, 10, &batch)) == 1) {
        batches++;
        jets += batch.rows;
        for (int64_t i = 0; i < batch.feature_count; i++) sum += batch.features[i];
        pando_batch_release(batch.owner);
    }
    printf("%d %ld %ld %.9g\n", status, batches, jets, sum);
    pando_epoch_end(epoch);
    if (pando_loader_open("{\"sources\": [], \"nonsense\": 1}") || !strstr(pando_error(), "nonsense: is no option")) return 4;
    pando_loader_close(loader);
    return 0;
}
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize("compiler", ["cc", "c++"])
def test_a_program_in_c_sees_the_same_batches(compiler, sample, tmp_path):
    suffix = "c" if compiler == "cc" else "cpp"
    (tmp_path / f"a.{suffix}").write_text(PROGRAM)
    headers = ROOT / "Sources/Bindings/CPando/include"
    tell(compiler, "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", f"-I{headers}", tmp_path / f"a.{suffix}", BINARIES[0],
         "-o", tmp_path / "a", f"-Wl,-rpath,{BINARIES[0].parent}")
    sizes, outcome = tell(tmp_path / "a", sample).splitlines()
    raw = library.RawBatch
    assert sizes == f"{ctypes.sizeof(raw)} {raw.offset_count.offset} {ctypes.sizeof(library.RawArray)}"
    batches = list(pando.Loader(sample, 64, features="released"))
    total = sum(float(batch.features.astype(float).sum()) for batch in batches)
    status, number, jets, found = outcome.split()
    assert (status, int(number), int(jets)) == ("0", len(batches), 64 * len(batches))
    assert float(found) == pytest.approx(total, rel=1e-6)


def test_the_modules_of_python_say_the_version_of_the_library():
    assert pando.__version__ == pando._library.version() and re.fullmatch(r"\d+\.\d+\.\d+", pando.__version__)
