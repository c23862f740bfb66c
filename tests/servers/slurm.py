"""Slurm: a controller and one node of two CPUs, with munge, as the user who runs the tests.

Debian's packages ``slurm-wlm`` and ``munge`` have the programs; nothing of their configuration or
of their daemons is used.
"""

import getpass
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from tests.servers.processes import free_ports, program, running

# CPUs are whatever this says, not those of the machine, and steps are followed without cgroups,
# which a container may not have.
_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={sockets}/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MailProg=/bin/true
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=main Nodes=ALL Default=YES
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster.

    Attributes
    ----------
    srun, sbatch : the programs
    configuration : what the variable SLURM_CONF must be for them
    """

    srun: str
    sbatch: str
    configuration: str


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Run a cluster.

    Parameters
    ----------
    folder : an empty one for its data
    """
    munge = ("munged", "munge")
    munged, credential = (program(name, f"GPUIO_{name.upper()}", "munge") for name in munge)
    names = ("slurmctld", "slurmd", "srun", "sbatch", "scancel", "sinfo")
    programs = {name: program(name, f"GPUIO_{name.upper()}", "slurm-wlm") for name in names}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    configuration = folder / "slurm.conf"
    variables = {"SLURM_CONF": str(configuration)}

    def answers(*command: str, expected: str = "") -> bool:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
        return done.returncode == 0 and expected in done.stdout

    with ExitStack() as stack:
        # Names of sockets are short.
        sockets = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
        configuration.write_text(
            _CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                user=getpass.getuser(),
                ports=free_ports(2),
                sockets=sockets,
                folder=folder,
            )
        )
        files = [
            f"--key-file={key}", f"--socket={sockets}/munge", f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
        ]  # fmt: skip
        command = [munged, "--foreground", "--force", *files]
        ready = [credential, f"--socket={sockets}/munge", "--no-input"]
        stack.enter_context(running(command, folder, lambda: answers(*ready)))
        shown = [programs["sinfo"], "--noheader", "--format=%T"]
        for name, expected in (("slurmctld", ""), ("slurmd", "idle")):
            command = [programs[name], "-D", "-f", str(configuration)]
            process = stack.enter_context(
                running(command, folder, partial(answers, *shown, expected=expected), variables)
            )
            stack.callback(_end, process)
        yield Slurm(programs["srun"], programs["sbatch"], str(configuration))
        # What a node runs outlives its daemon until a controller has been told of its end.
        subprocess.run([programs["scancel"], "--me"], env=variables, check=True, timeout=60)
        while not answers(*shown, expected="idle"):
            Event().wait(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have a daemon end, and its own child processes with it."""
    process.terminate()
    process.wait(20)
