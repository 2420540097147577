#!/usr/bin/env python3
"""Measures Pando's loader beside others: the same jets, the same cores, in turn.

    Benchmarks/run --only loader [--quick] [--jets N] [--repeat N] [--peers NAME,...] [--cores 1,2]

Prints a table in Markdown and writes bench-results/loader.json. What each peer is and what is generous or unfair about it
is said in Benchmarks/README.md. Peers whose packages are missing are listed with the reason.
"""
import argparse
import dataclasses
import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
import inputs  # noqa: E402

MEASURE = f"{HERE}/loader_peers/measure.py"
sys.path.insert(0, f"{HERE}/loader_peers")


@dataclasses.dataclass(frozen=True)
class Peer:
    """One way of loading: a module, its variant, the environment it needs, and a sample if an epoch would take too long."""

    name: str
    label: str
    module: str
    variant: str = "-"
    environment: str = "bench"  # test: h5py, numpy and pyarrow; bench, torch: scripts/setup bench
    sample: int | None = None  # jets that it reads, if an epoch would take minutes
    stop: int | None = None  # jets after which a timed epoch is left; the rate is then that behind the first batch
    checked: bool = True


PEERS = [
    Peer("python", "Pando from Python, NumPy", "pando_peer", "numpy", "test"),
    Peer("pytorch", "Pando from Python, PyTorch", "pando_peer", "torch", "torch"),
    Peer("h5py-random", "h5py, random rows, published file", "hdf5_peer", "random", "test", 512),
    Peer("h5py", "h5py, slabs + shuffle, published file", "hdf5_peer", "published", "test", 20_032),
    Peer("h5py-padded", "h5py, slabs + shuffle, padded copy", "hdf5_peer", "padded", "test"),
    Peer("parquet", "pyarrow, Parquet zstd, window + numpy", "parquet_peer", "numpy", "test"),
    Peer("memmap", "np.memmap, padded, random rows", "memmap_peer", "-", "test"),
    Peer("numba-parquet", "numba, Parquet zstd, window", "parquet_peer", "numba"),
    Peer("numba-ipc", "numba, Arrow IPC, window", "parquet_peer", "ipc"),
    Peer("numba-ipc-zstd", "numba, Arrow IPC zstd, window", "parquet_peer", "ipc-zstd"),
    Peer("omnijet", "OmniJet-alpha's way, ROOT and awkward", "root_peer", "omnijet"),
    Peer("weaver", "weaver-core, ROOT", "root_peer", "weaver", "torch"),
    Peer("huggingface", "Hugging Face datasets, map-style", "huggingface_peer"),
    Peer("webdataset", "WebDataset, tar", "sample_peer", "webdataset", "torch"),
    Peer("mds", "MosaicML Streaming, MDS zstd", "sample_peer", "mds", "torch", stop=40_000),
    Peer("litdata", "LitData, chunks zstd", "sample_peer", "litdata", "torch"),
    Peer("bare", "no loader: decompress and write", "bare_peer", "zstd", checked=False),
]
LIGHT = ["h5py", "memmap"]
QUICK = ["python", *LIGHT, "h5py-padded", "parquet", "numba-ipc", "omnijet", "litdata", "bare"]


def environments():
    """The Python of each environment, if it is there."""
    found = {"test": sys.executable}
    for name, directory in (("bench", ".venv-bench"), ("torch", ".venv-bench-torch")):
        path = f"{ROOT}/{directory}/bin/python"
        if os.access(path, os.X_OK):
            found[name] = path
    return found


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Failure(Exception):
    """A process that did not do its work, with the last line of what it said."""


def last_line(file):
    """What a process complained of last."""
    file.seek(0)
    lines = [line for line in file.read().splitlines() if line.strip()]
    return lines[-1] if lines else ""


def anonymous_memory(pid):
    """Anonymous memory of a process and its children now."""
    total = 0
    try:
        with open(f"/proc/{pid}/status") as file:
            total = next((int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:")), 0)
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = file.read().split()
    except OSError:
        return total
    return total + sum(anonymous_memory(child) for child in children)


def execute(command, cores, watch=False, limit=300):
    """Runs a command on some cores; returns its JSON and, if asked, its peak of anonymous memory."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores))
        peak, end = 0, time.monotonic() + limit
        while process.poll() is None:
            if watch:
                peak = max(peak, anonymous_memory(process.pid))
            if time.monotonic() > end:
                process.kill()
                raise Failure(f"took more than {limit} s")
            time.sleep(0.01)
        text = process.stdout.read()
        if process.returncode != 0:
            raise Failure(last_line(errors) or f"exit {process.returncode}")
    lines = text.strip().splitlines()
    return (json.loads(lines[-1]) if lines else {}), peak


class Ours:
    """`pando bench loader`. What it is asked for is decided in `what`, by what the tool knows."""

    def __init__(self, pando, dataset):
        self.pando, self.dataset = pando, dataset
        text = subprocess.run([pando, "bench", "loader", "--help"], capture_output=True, text=True, check=True).stdout
        self.pads = "--features" in text and "--pad" in text
        self.what = ["--features", "pt,eta_rel,phi_rel", "--pad", "128"] if self.pads else ["--columns", "px,py,pz,E"]

    def measure(self, cores, watch=False, epochs=1):
        command = [self.pando, "bench", "loader", self.dataset, *self.what, "--batch-size", "256",
                   "--threads", str(len(cores)), "--epochs", str(epochs), "--json"]
        outcome, anonymous = execute(command, cores, watch)
        outcome["anonymousMemory"] = anonymous
        after = outcome["seconds"] - outcome["secondsToFirstBatch"]
        outcome["jetsPerSecondAfterFirst"] = (outcome["jets"] - 256) / after if after > 0 else None
        return outcome


def later_epochs(ours, cores):
    """Jets a second in the epochs after the first one of a process, which may find their data in memory."""
    first, all_of_them = ours.measure(cores), ours.measure(cores, epochs=4)
    seconds = all_of_them["seconds"] - first["seconds"]
    return (all_of_them["jets"] - first["jets"]) / seconds if seconds > 0 else None


class Theirs:
    """A peer with its files. A process makes all its epochs on some cores, and sleeps while ours is measured."""

    def __init__(self, peer, python, source, base, files):
        self.peer = peer
        self.command = [python, "-W", "ignore", MEASURE, peer.module, peer.variant, "--base", base, "--files", files,
                        "--source", source]
        if peer.sample:
            self.command += ["--limit", str(peer.sample)]
        if peer.stop:
            self.command += ["--stop", str(peer.stop)]
        self.files = files
        self.process = None

    def prepare(self, cores):
        if os.path.exists(self.files):
            return
        progress(f"preparing the files of {self.peer.name}")
        partial = self.files + ".tmp"
        shutil.rmtree(partial, ignore_errors=True)
        command = [partial if part == self.files else part for part in self.command]
        execute([*command, "--prepare"], cores, limit=900)
        os.rename(partial, self.files)

    def start(self, cores):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*self.command, "--cores", str(len(cores))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, preexec_fn=lambda: os.sched_setaffinity(0, cores))

    def stop(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.errors.close()
        self.process = None

    def measure(self, cores=None, check=False, limit=120):
        """One epoch; if it is compared with the truth, also its peak of anonymous memory."""
        try:
            self.process.stdin.write(b"check\n" if check else b"go\n")
            self.process.stdin.flush()
        except OSError:
            pass  # It has died; what it said comes below.
        peak, end, text = 0, time.monotonic() + limit, b""
        while True:
            if select.select([self.process.stdout], [], [], 0.01)[0]:
                part = os.read(self.process.stdout.fileno(), 65536)
                text += part
                found = [line for line in text.split(b"\n")[:-1] if line.startswith(b"PANDO ")]
                if found:
                    return json.loads(found[0][6:]) | {"anonymousMemory": peak}
                if not part:
                    self.process.wait()
                    raise Failure(last_line(self.errors) or f"exit {self.process.returncode}")
            if check:
                peak = max(peak, anonymous_memory(self.process.pid))
            if time.monotonic() > end:
                raise Failure(f"took more than {limit} s")


def spread(values):
    return {"median": statistics.median(values), "minimum": min(values), "maximum": max(values)}


def rates(rounds):
    known = [r["jetsPerSecondAfterFirst"] for r in rounds if r.get("jetsPerSecondAfterFirst")]
    return {
        "jetsPerSecond": spread([r["jetsPerSecond"] for r in rounds]),
        "jetsPerSecondAfterFirst": spread(known) if known else None,
        "secondsToFirstBatch": spread([r["secondsToFirstBatch"] for r in rounds]),
        "peakMemory": max(r["peakMemory"] for r in rounds)}


def compare(ours, theirs, cores, repeat):
    """Ours and a peer in turn; the ratio is taken pair by pair."""
    pairs = []
    for number in range(repeat):
        pair = {}
        for name in ("ours", "peer") if number % 2 == 0 else ("peer", "ours"):
            pair[name] = (ours if name == "ours" else theirs).measure(cores)
        pairs.append(pair)
    return {
        "cores": len(cores), "peer": rates([p["peer"] for p in pairs]), "ours": rates([p["ours"] for p in pairs]),
        "ratio": spread([p["ours"]["jetsPerSecond"] / p["peer"]["jetsPerSecond"] for p in pairs]),
        "ratioAfterFirst": spread(ratios) if (ratios := [
            p["ours"]["jetsPerSecondAfterFirst"] / p["peer"]["jetsPerSecondAfterFirst"] for p in pairs
            if p["peer"].get("jetsPerSecondAfterFirst")]) else None,
        "rounds": pairs}


def measure_ours(ours, all_cores, counts, truth):
    """What our loader needs by itself, and whether it hands out what is there."""
    report = {"asked": " ".join(ours.what), "cores": []}
    for count in counts:
        checked = ours.measure(all_cores[:count], watch=True)
        # The last, incomplete batch is left out by default.
        if checked["jets"] != truth["jets"] // 256 * 256:
            raise SystemExit(f"{checked['jets']} jets of {truth['jets']}")
        if not 0.99 < checked["constituents"] / truth["constituents"] * truth["jets"] / checked["jets"] < 1.01:
            raise SystemExit(f"{checked['constituents']} constituents, not about {truth['constituents']}")
        entry = {"cores": count, "anonymousMemory": checked["anonymousMemory"], "peakMemory": checked["peakMemory"],
                 "storedBytes": checked["storedBytes"]}
        report["cores"].append(entry)
    return report


def thousands(value):
    return f"{value / 1000:,.0f}k" if value >= 10_000 else f"{value / 1000:,.1f}k"


def table(report):
    """Markdown: a row a peer, for each number of cores the rate, the ratio and the rest."""
    counts = report["coreCounts"]
    lines = ["| loader | files, MB |" + "".join(
        f" {c} core{'s' * (c > 1)}: jets/s (range) | ours / it (range) | to first batch, s |" for c in counts)
        + " anonymous memory, MB |"]
    lines.append("|---|" + "---:|" * (2 + 3 * len(counts)))
    ours = report["ours"]
    for name, entry in ours.items():
        cells = [f"| **Pando**, {name} | {entry['bytes'] / 1e6:.0f} |"]
        for count in counts:
            runs = [r["ours"] for peer in report["peers"] for c in peer.get("cores", []) if c["cores"] == count
                    for r in c["rounds"]] if name == report["comparedWith"] else entry["rounds"][str(count)]
            rate = spread([r["jetsPerSecond"] for r in runs])
            first = statistics.median(r["secondsToFirstBatch"] for r in runs)
            cells.append(f" {thousands(rate['median'])} ({thousands(rate['minimum'])} to {thousands(rate['maximum'])})"
                         f" | | {first:.2f} |")
        cells.append(f" {entry['cores'][0]['anonymousMemory'] / 1e6:,.0f} |")
        lines.append("".join(cells))
        later = [entry["later"][str(count)] for count in counts]
        lines.append(f"| Pando, {name}, later epochs | |" + "".join(
            f" {thousands(rate['median'])} ({thousands(rate['minimum'])} to {thousands(rate['maximum'])}) | | |"
            for rate in later) + " |")
    for peer in report["peers"]:
        if "notMeasured" in peer:
            lines.append(f"| {peer['label']} | not measured: {peer['notMeasured']} |" + " |" * (3 * len(counts) + 1))
            continue
        cells = [f"| {peer['label']}{' (sample)' if peer['sample'] else ''} | {peer['bytes'] / 1e6:.0f} |"]
        for entry in peer["cores"]:
            rate, ratio = entry["peer"]["jetsPerSecond"], entry["ratio"]
            cells.append(
                f" {thousands(rate['median'])} ({thousands(rate['minimum'])} to {thousands(rate['maximum'])})"
                f" | {ratio['median']:.3g} ({ratio['minimum']:.3g} to {ratio['maximum']:.3g})"
                f" | {entry['peer']['secondsToFirstBatch']['median']:.2f} |")
        cells.append(f" {peer['checked']['anonymousMemory'] / 1e6:,.0f} |")
        lines.append("".join(cells))
    return "\n".join(lines)


def dataset(pando, source, path, options):
    if not os.path.exists(f"{path}/dataset.json"):
        progress(f"converting to {os.path.basename(path)}")
        subprocess.run([pando, "convert", source, path, "--quiet", *options], check=True)
    return path


def size(directory):
    return sum(os.path.getsize(f"{folder}/{name}") for folder, _, names in os.walk(directory) for name in names)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=120_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10,000 jets, one round, one core, half of the peers")
    parser.add_argument("--peers", help=f"only these, separated by commas: {','.join(p.name for p in PEERS)}; "
                                        "'light' for those that need only h5py and numpy")
    parser.add_argument("--cores", default="1,2", help="numbers of cores, separated by commas")
    parser.add_argument("--pando", default=f"{ROOT}/.build/release/pando")
    parser.add_argument("--results", default=f"{ROOT}/bench-results")
    options = parser.parse_args()
    if not os.access(options.pando, os.X_OK):
        raise SystemExit(f"{options.pando}: not there; run 'swift build -c release --product pando'")
    if options.quick:
        options.jets, options.repeat, options.cores = min(options.jets, 10_000), 1, "1"
    names = QUICK if options.quick else None
    if options.peers:
        names = LIGHT if options.peers == "light" else options.peers.split(",")
    if names and (unknown := set(names) - {p.name for p in PEERS}):
        raise SystemExit(f"no such peers: {', '.join(sorted(unknown))}")
    options.chosen = [p for p in PEERS if names is None or p.name in names]
    return options


def main():
    options = arguments()
    import common

    all_cores = sorted(os.sched_getaffinity(0))
    counts = sorted({min(int(text), len(all_cores)) for text in options.cores.split(",")})
    os.makedirs(options.results, exist_ok=True)
    source = inputs.get(ROOT, options.jets)
    kept = f"{ROOT}/bench-results/inputs/loader-{options.jets}"
    base = f"{kept}/base"
    common.prepare(source, base)
    with open(f"{base}/truth.json") as file:
        truth = json.load(file)
    loaders = {
        name: Ours(options.pando, dataset(options.pando, source, f"{kept}/{name}.pando", ["--codec", name]))
        for name in ("zstd", "none")}
    ours = loaders["zstd"]
    report = {"jets": truth["jets"], "constituents": truth["constituents"], "coreCounts": counts,
              "comparedWith": "zstd", "asked": " ".join(ours.what), "peers": [], "ours": {}}
    for name, loader in loaders.items():
        entry = measure_ours(loader, all_cores, counts, truth)
        entry["bytes"] = size(loader.dataset)
        entry["rounds"] = {
            str(count): [loader.measure(all_cores[:count]) for _ in range(options.repeat)] for count in counts}
        entry["later"] = {
            str(count): spread([rate for _ in range(options.repeat) if (rate := later_epochs(loader, all_cores[:count]))])
            for count in counts}
        report["ours"][name] = entry
    available = environments()
    for peer in options.chosen:
        entry = {"name": peer.name, "label": peer.label, "sample": peer.sample or peer.stop}
        report["peers"].append(entry)
        if peer.environment not in available:
            entry["notMeasured"] = "its packages are not installed (scripts/setup bench)"
            continue
        theirs = Theirs(peer, available[peer.environment], source, base, f"{kept}/{peer.name}")
        begin = time.monotonic()
        try:
            theirs.prepare(all_cores)
            entry |= {"bytes": size(theirs.files) or (size(ours.dataset) if peer.module == "bare_peer" else os.path.getsize(source)), "cores": []}
            for count in counts:
                theirs.start(all_cores[:count])
                if count == counts[0]:
                    entry["checked"] = theirs.measure(check=peer.checked)
                compared = compare(ours, theirs, all_cores[:count], options.repeat)
                entry["cores"].append(compared)
                theirs.stop()
            progress(f"{peer.label}: " + ", ".join(
                f"{thousands(c['peer']['jetsPerSecond']['median'])} jets/s on {c['cores']}, ours / it "
                f"{c['ratio']['median']:.3g}" for c in entry["cores"]) + f"; {time.monotonic() - begin:.0f} s")
        except Failure as failure:
            entry.pop("cores", None)
            entry["notMeasured"] = str(failure)
            progress(f"{peer.label}: not measured: {failure}")
        finally:
            theirs.stop()
    with open(f"{options.results}/loader.json", "w") as file:
        json.dump(report, file, indent=1)
    print(f"{truth['jets']:,} jets, {truth['constituents']:,} constituents; ours: {report['asked']}\n\n{table(report)}\n")
    print("bench-results/loader.json" if options.results == f"{ROOT}/bench-results" else f"{options.results}/loader.json")


if __name__ == "__main__":
    main()
