"""Checks of style that no formatter makes: length of source files, Python that compiles, links in the pages that lead nowhere."""
import pathlib
import re
import subprocess
import sys

LONGEST = 450  # lines of a source file
ROOT = pathlib.Path(__file__).resolve().parent.parent


def tracked(*patterns):
    """Files of the project that match; those not yet added count too, those that git ignores do not."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def long_files():
    for path in tracked("Sources/*.swift", "Sources/*.c", "Sources/*.h", "Sources/*.inc"):
        lines = path.read_text().count("\n")
        if lines > LONGEST:
            yield path, f"has {lines} lines; split it, {LONGEST} is the most"


def broken_python():
    for path in tracked("*.py"):
        try:
            compile(path.read_text(), str(path), "exec")
        except SyntaxError as error:
            yield path, f"line {error.lineno}: {error.msg}"


def broken_links():
    for page in tracked("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                yield page, f"links to {target}, which is not there"


faults = [*long_files(), *broken_python(), *broken_links()]
for path, what in faults:
    print(f"{path.relative_to(ROOT)}: {what}", file=sys.stderr)
sys.exit(1 if faults else 0)
