"""Two machines made of one: network namespaces with names and addresses of their own, and one wire between them."""
import os
import shutil
import subprocess

NAMES = ["node1", "node2"]


def address(number):
    return f"10.77.31.{number + 1}"


def impossible():
    """Why there cannot be any here; None if there can."""
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "no ip or unshare here"
    name = f"pando-{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "no network namespaces can be made here; as root they can"
    subprocess.run(["ip", "netns", "del", name])
    return None


class TwoMachines:
    """Each knows itself by a loopback address, as Debian's installer writes it, and the other by that of the wire, on which nothing else is.

    `rate` limits what goes each way, in the words of tc ("1gbit").
    """

    def __init__(self, folder, rate=None):
        self.spaces = [f"pando-{os.getpid()}-{name}" for name in NAMES]
        self.ends = [f"pd{os.getpid() % 10**8}{name[-1]}" for name in NAMES]
        self.folder = folder
        self.rate = rate

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for space in self.spaces:
            self.ip("netns", "add", space)
        self.ip("link", "add", self.ends[0], "type", "veth", "peer", "name", self.ends[1])
        for number, (space, end) in enumerate(zip(self.spaces, self.ends)):
            self.ip("link", "set", end, "netns", space)
            self.ip("-n", space, "addr", "add", f"{address(number)}/24", "dev", end)
            self.ip("-n", space, "link", "set", end, "up")
            self.ip("-n", space, "link", "set", "lo", "up")
            if self.rate:
                limit = ["rate", self.rate, "burst", "256kb", "latency", "20ms"]
                subprocess.run(["tc", "-n", space, "qdisc", "add", "dev", end, "root", "tbf", *limit], check=True, capture_output=True)
            others = "".join(f"{address(other)} {NAMES[other]}\n" for other in range(len(NAMES)) if other != number)
            with open(f"{self.folder}/{NAMES[number]}.hosts", "w") as file:
                file.write(f"127.0.0.1 localhost\n127.0.1.1 {NAMES[number]}\n{others}")

    def __exit__(self, *_):
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL)

    def ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def start(self, number, command, **options):
        """Starts a command on a machine."""
        inside = 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'
        return subprocess.Popen(
            ["ip", "netns", "exec", self.spaces[number], "unshare", "--uts", "--mount", "sh", "-c", inside, "sh", NAMES[number],
             f"{self.folder}/{NAMES[number]}.hosts", *map(str, command)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def cut(self):
        """Cuts the wire: what is sent is lost, and no connection is told."""
        self.ip("-n", self.spaces[1], "link", "set", self.ends[1], "down")

    def mend(self):
        self.ip("-n", self.spaces[1], "link", "set", self.ends[1], "up")
