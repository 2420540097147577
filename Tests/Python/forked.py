"""Runs programs in processes that have PyTorch and Lightning imported already: importing them takes longer than most tests.

As a program: reads lines of jobs that begin together, and answers with a line of their statuses.
"""
import json
import os
import runpy
import subprocess
import sys


class Forked:
    """A process of its own that has imported what is slow, and runs each program in a fork of itself, as if it were alone."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        """Ends it: by a word, since whoever was forked here meanwhile may hold the pipe open."""
        self.process.stdin.write("\n")
        self.process.stdin.close()
        self.process.wait()

    def together(self, *commands, environments=None):
        """Status, output and errors of each of some programs that begin together: a script, or `-c` and its text, and arguments."""
        jobs = []
        for number, command in enumerate(commands):
            self.count += 1
            place = str(self.folder / f"{self.count}")
            more = dict(environments[number]) if environments else {}
            jobs.append({"arguments": list(map(str, command)), "place": place, "environment": more})
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()
        statuses = json.loads(self.process.stdout.readline())
        texts = [[open(job["place"] + end).read() for end in (".out", ".err")] for job in jobs]
        return [(status, *text) for status, text in zip(statuses, texts, strict=True)]

    def __call__(self, *command, status=0, **environment):
        """Output and errors of one program, which ends with a status."""
        ((found, out, said),) = self.together(command, environments=[environment])
        assert found == status, f"status {found}\n{out}\n{said}"
        return out, said


def work(job):
    """Runs a program here, in place of this one, and ends with its status."""
    status = 1
    try:
        for number, name in ((0, os.devnull), (1, job["place"] + ".out"), (2, job["place"] + ".err")):
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.update(job["environment"])
        program, *sys.argv[1:] = job["arguments"]
        sys.argv[0] = program
        if program == "-c":
            text = sys.argv.pop(1)
            exec(compile(text, "<program>", "exec"), {"__name__": "__main__"})
        else:
            sys.path[:1] = [os.path.dirname(program), *job["environment"].get("PYTHONPATH", "").split(os.pathsep)]
            runpy.run_path(program, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main():
    """Imports what is slow, then forks a process for each job."""
    import torch.distributed
    import torch.optim
    import torch.utils.data  # noqa: F401

    for name in ("torch._dynamo", "lightning"):
        try:
            __import__(name)
        except ImportError:
            pass
    while line := sys.stdin.readline().strip():
        children = []
        for job in json.loads(line):
            children.append(os.fork())
            if children[-1] == 0:
                work(job)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)


if __name__ == "__main__":
    main()
