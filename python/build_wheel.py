#!/usr/bin/env python3
"""Packs the Python package, the library and the tool into a wheel: the same inputs give the same bytes.

    build_wheel.py --library libPandoC.so --tool pando --out dist

The tag says which systems it is for: manylinux_2_N, by the newest symbol that library and tool ask the C library for.
"""

import argparse
import base64
import hashlib
import pathlib
import re
import stat
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python/pando"
# What every Linux of that age has; PEP 600 allows no others to be asked for.
SYSTEM = re.compile(r"(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux-x86-64)\.so[.0-9]*")
# The newest libstdc++ symbols that a glibc's age implies: 2.35 came with GCC 11 (Ubuntu 22.04).
STDCXX = {35: (3, 4, 30), 36: (3, 4, 30), 38: (3, 4, 32)}


def needs(binary):
    """Shared libraries that a binary asks for, and the newest version of the C and C++ libraries' symbols."""
    told = subprocess.run(["objdump", "-p", binary], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"NEEDED\s+(\S+)", told)
    strange = [name for name in libraries if not SYSTEM.fullmatch(name)]
    if strange:
        sys.exit(f"build_wheel: {binary} asks for {', '.join(strange)}, which is not in every system and not in the wheel")
    symbols = subprocess.run(["objdump", "-T", binary], capture_output=True, text=True, check=True).stdout
    glibc = max(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", symbols))
    stdcxx = max((tuple(map(int, v.split("."))) for v in re.findall(r"GLIBCXX_([0-9.]+)", symbols)), default=(0,))
    return glibc, stdcxx


def tag(binaries):
    """The platform tag for what binaries ask for."""
    found = [needs(binary) for binary in binaries]
    glibc = max(35, *(minor for minor, _ in found))
    while STDCXX.get(glibc, (9,)) < max(stdcxx for _, stdcxx in found):
        glibc += 1
    return f"manylinux_2_{glibc}_x86_64"


def version():
    """That of the tool and the library."""
    text = (ROOT / "Sources/Support/Version.swift").read_text()
    return re.search(r'number = "([^"]+)"', text).group(1)


def metadata(number):
    """What an installer reads."""
    return f"""Metadata-Version: 2.1
Name: pando
Version: {number}
Summary: Datasets of jets in compressed columnar shards, and their loader for training loops
License: Apache-2.0; the tool in bin/ has FastJet linked in, which is under GPL-2.0-or-later
Requires-Python: >=3.10
Requires-Dist: numpy >=1.22
Provides-Extra: arrow
Requires-Dist: pyarrow ; extra == 'arrow'
Provides-Extra: awkward
Requires-Dist: awkward >=2 ; extra == 'awkward'
Provides-Extra: torch
Requires-Dist: torch ; extra == 'torch'
"""


def main():
    """Writes the wheel and prints its path."""
    parser = argparse.ArgumentParser()
    for name in ("--library", "--tool", "--out"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    asked = parser.parse_args()
    number, platform = version(), tag([asked.library, asked.tool])
    information = f"pando-{number}.dist-info"
    files = {f"pando/{path.name}": path.read_bytes() for path in sorted(PACKAGE.iterdir()) if path.suffix in (".py", ".typed")}
    files["pando/lib/libPandoC.so"] = asked.library.read_bytes()
    files["pando/lib/pando.h"] = (ROOT / "Sources/Bindings/CPando/include/pando.h").read_bytes()
    files["pando/bin/pando"] = asked.tool.read_bytes()
    files[f"{information}/METADATA"] = metadata(number).encode()
    kind = f"Wheel-Version: 1.0\nGenerator: pando\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n"
    files[f"{information}/WHEEL"] = kind.encode()
    files[f"{information}/entry_points.txt"] = b"[console_scripts]\npando = pando.__main__:main\n"
    files[f"{information}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    record = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(data)}\n")
    files[f"{information}/RECORD"] = ("".join(record) + f"{information}/RECORD,,\n").encode()
    asked.out.mkdir(parents=True, exist_ok=True)
    for old in asked.out.glob("pando-*.whl"):
        old.unlink()
    wheel = asked.out / f"pando-{number}-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            # pip lets only what is said to be a regular file be a program.
            entry.external_attr = (stat.S_IFREG | (0o755 if name.startswith("pando/bin/") else 0o644)) << 16
            archive.writestr(entry, data)
    print(f"{wheel} ({wheel.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
