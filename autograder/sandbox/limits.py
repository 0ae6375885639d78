"""What a submission may use.

Contract: `Limits.each` is what the kernel holds each process of a sandbox to, and `Limits.ours` each of our processes
that listens to one. The rest is for all of them together, and is watched from outside.
"""

from dataclasses import dataclass

MIB = 2**20

OURS_MB = 4096
"""What one of our processes may address, MiB: Airflow's address 2,000."""


@dataclass(frozen=True)
class Limits:
    """Limits of one submission.

    Parameters
    ----------
    memory_mb
        Memory of all its processes, with the files that they wrote, and of all its queries, MiB; one process alone may
        address twice as much.
    processes
        How many at once.
    cpu_s
        Seconds of CPU of one process.
    files
        Open files of one process.
    file_mb
        Size of one file, and of what one process writes to its output, MiB.
    disk_mb
        Size of each place that can be written to, MiB: memory, too.
    files_made
        Files in each such place.
    database_mb
        Size of each of its databases, its Airflow's among them, MiB.
    logs_mb
        Size of all its logs, MiB.
    witnessed_mb
        Size of what the servers outside write down of what it asks and tells them, MiB.
    seconds
        From the first to the last of its processes.
    """

    memory_mb: int = 3072
    processes: int = 200
    cpu_s: int = 240
    files: int = 1024
    file_mb: int = 64
    disk_mb: int = 256
    files_made: int = 50_000
    database_mb: int = 1024
    logs_mb: int = 64
    witnessed_mb: int = 16
    seconds: float = 900.0

    def ours(self) -> dict[str, int]:
        """Return the limits of a process of ours, which a student's may ask to take in more and more."""
        return {"RLIMIT_AS": OURS_MB * MIB, "RLIMIT_FSIZE": self.file_mb * MIB}

    def each(self) -> dict[str, int]:
        """Return the limits of each process, by the names that `resource` has for them."""
        return {
            "RLIMIT_AS": 2 * self.memory_mb * MIB,
            "RLIMIT_CORE": 0,
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_FSIZE": self.file_mb * MIB,
            "RLIMIT_NOFILE": self.files,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
        }
