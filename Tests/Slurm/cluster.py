"""A Slurm of one node on loopback, of this user alone, in a directory of its own: started for a test, and gone with it."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

# Debian's daemons lie where a plain user's PATH does not lead.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol"]


def missing_programs():
    return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


def free_ports(count):
    """Ports of loopback that nobody listens to now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()


class Cluster:
    """munged, slurmctld and slurmd; use it in a `with` statement."""

    def __init__(self, folder, cpus=4):
        self.folder = pathlib.Path(folder)
        self.cpus = cpus
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.environment = {
            # What a job around this test has must not be taken for ours.
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))},
            "PATH": PATH,
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }
        self.daemons = {}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for name in ("state", "spool", "logs"):
            (self.folder / name).mkdir(mode=0o755)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        self.write_configuration()
        self.launch(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munge.pid", f"--log-file={self.folder}/logs/munged.log",
            f"--seed-file={self.folder}/munge.seed", "--num-threads=2")
        self.wait(lambda: (self.folder / "munge.socket").exists(), "munged does not open its socket")
        self.launch("slurmctld", "-D", "-i")
        self.wait(lambda: self.call("scontrol", "ping").returncode == 0, "slurmctld does not answer")
        self.launch("slurmd", "-D", "-N", self.node)
        self.wait(lambda: self.output("sinfo", "-h", "-o", "%T") in ("idle", "mixed"), "the node does not become idle")

    def write_configuration(self):
        self.node = socket.gethostname().split(".")[0]
        controller, node = free_ports(2)
        # No cgroups, no accounting, one user: what a container without systemd can do. Requeued jobs wait for cred_expire.
        (self.folder / "slurm.conf").write_text(f"""
ClusterName=pando
SlurmctldHost={self.node}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={self.user}
SlurmdUser={self.user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={self.folder}/munge.socket,cred_expire=5
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/logs/slurmctld.log
SlurmdLogFile={self.folder}/logs/slurmd.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
JobRequeue=1
KillWait=5
ReturnToService=2
NodeName={self.node} NodeAddr=127.0.0.1 CPUs={self.cpus} RealMemory=64000 State=UNKNOWN
PartitionName=all Nodes={self.node} Default=YES MaxTime=INFINITE State=UP
""")

    def launch(self, *command):
        log = open(self.folder / f"logs/{command[0]}.out", "wb")
        self.daemons[command[0]] = subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)

    def wait(self, condition, complaint, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            for name, daemon in self.daemons.items():
                assert daemon.poll() is None, f"{name} ended with {daemon.returncode}\n{self.logs()}"
            assert time.monotonic() < end, f"{complaint}\n{self.logs()}"
            time.sleep(0.2)

    def logs(self):
        """The ends of all logs."""
        files = sorted((self.folder / "logs").glob("*"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in files)

    def stop(self):
        """Ends jobs and daemons, whatever state they are in."""
        if "slurmd" in self.daemons and self.daemons["slurmd"].poll() is None:
            self.call("scancel", "--signal=KILL", "--full", f"--user={self.user}")
            self.call("scancel", f"--user={self.user}")
            end = time.monotonic() + 15
            while self.output("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.2)
        for name in ("slurmd", "slurmctld", "munged"):
            daemon = self.daemons.pop(name, None)
            if daemon is None:
                continue
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()

    def call(self, *command, **options):
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)

    def output(self, *command, **options):
        return self.call(*command, **options).stdout.strip()

    def submit(self, *arguments, **options):
        """Submits a job and gives its number."""
        done = self.call("sbatch", "--parsable", *map(str, arguments), **options)
        assert done.returncode == 0, done.stderr + self.logs()
        return done.stdout.strip()

    def states(self, job):
        """The state of each task of an array that the controller still knows."""
        lines = self.output("squeue", "-h", "-a", "-r", "-t", "all", "-j", job, "-o", "%K %T").splitlines()
        return {int(task): state for task, state in (line.split() for line in lines) if task != "N/A"}
