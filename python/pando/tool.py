"""The command line tool that is in the package."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

from .errors import ConvertError
from .progress import Progress, teller

Path = str | os.PathLike[str]
#: PANDO_BINARY names another one, for tests of one that was just built.
TOOL = os.environ.get("PANDO_BINARY") or str(pathlib.Path(__file__).resolve().parent / "bin" / "pando")


def convert(
    inputs: Path | Sequence[Path],
    output: Path,
    *,
    schema: Path | None = None,
    selection: Path | None = None,
    golden: Path | None = None,
    match: str | None = None,
    codec: str | None = None,
    level: int | None = None,
    batch_rows: int | None = None,
    shard_size: str | int | None = None,
    interleave: int | None = None,
    threads: int | None = None,
    limit: int | None = None,
    task: str | None = None,
    splits: str | None = None,
    offsets: str | None = None,
    on_bad_input: str | None = None,
    no_parity: bool = False,
    dry_run: bool = False,
    take_over: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Converts files to a dataset, with the tool's options by the same names (`python -m pando convert --help`).

    `progress` is told jets done and jets of all; or it is a bar, `tqdm(unit=" jets")`, which moves. Returns what
    `--json` prints; inputs that were left out (`on_bad_input="skip"`) are in its `missing`. Ctrl-C stops it so that the same call
    goes on.

    Raises `ConvertError` with the tool's own words.
    """
    options: dict[str, Any] = {
        "schema": schema, "selection": selection, "golden": golden, "match": match, "codec": codec, "level": level,
        "batch-rows": batch_rows, "shard-size": shard_size, "interleave": interleave, "threads": threads, "limit": limit,
        "task": task, "splits": splits, "offsets": offsets, "on-bad-input": on_bad_input,
    }  # fmt: skip
    flags = {"no-parity": no_parity, "dry-run": dry_run, "take-over": take_over}
    files = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    command = [TOOL, "convert", "--json", "--progress-lines"]
    command += [f"--{name}={os.fspath(value) if isinstance(value, os.PathLike) else value}"
                for name, value in options.items() if value is not None]  # fmt: skip
    command += [f"--{name}" for name, value in flags.items() if value]
    command += ["--", *(os.fspath(file) for file in files), os.fspath(output)]
    said: list[str] = []
    tell = teller(progress)
    # Apart from this terminal: Ctrl-C comes here first, and is handed on. Its result may be longer than a pipe holds.
    with (
        tempfile.TemporaryFile("w+") as result,
        subprocess.Popen(command, stdout=result, stderr=subprocess.PIPE, text=True, start_new_session=True) as process,
    ):
        try:
            for line in process.stderr or ():
                if line.startswith('{"done":'):
                    told = json.loads(line)
                    if tell is not None and told["what"] == "converting":
                        tell(told["done"], told["total"])
                else:
                    said.append(line.rstrip("\n"))
            status = process.wait()
        except BaseException:
            # It writes what it has begun, and the same call goes on there.
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        # 3: finished with gaps, which are in the result.
        if status not in (0, 3):
            raise _failure(status, said)
        result.seek(0)
        outcome: dict[str, Any] = json.load(result)
        return outcome


def _failure(status: int, said: list[str]) -> ConvertError:
    """The tool's error, without what stands before it."""
    lines = [line.split("rror: ", 1)[1] for line in said if line.startswith(("pando: error: ", "Error: "))]
    text = lines[-1] if lines else (said[-1] if said else f"pando convert ended with status {status}")
    return ConvertError(text, code=f"exit {status}")
