"""Small attacks in one submission: a DAG whose only task tries each, and tells by a notification what it got.

Contract: each function below is an attack. Its docstring says what it tries, the decorator which defence holds it.
It returns something true when it got what it is not to have; `tests/integration/test_hostile.py` runs the DAG in a
sandbox, where none may, and without one, the control, where each must (those of `as_root` if the tests are root's).
What an attacker could find out is given, in include/targets.json. Nothing here is harmful: what could be written is
opened and closed, or removed again.
"""

import contextlib
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from airflow.sdk import dag, task

HERE = Path(__file__).resolve().parent
TARGETS = json.loads((HERE.parent / "include" / "targets.json").read_text())
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS, PTRACE_ATTACH, PTRACE_DETACH = 0x10000000, 0x00020000, 16, 17

ATTACKS: dict[str, Callable[[], object]] = {}
HELD_BY: dict[str, str] = {}
AS_ROOT: set[str] = set()


def attack(held_by: str, *, as_root: bool = False) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Add an attack: which defence holds it, and whether it needs root to succeed even without one."""

    def add(function: Callable[[], object]) -> Callable[[], object]:
        ATTACKS[function.__name__] = function
        HELD_BY[function.__name__] = held_by
        if as_root:
            AS_ROOT.add(function.__name__)
        return function

    return add


def _in_a_child(function: Callable[[], object]) -> bool:
    """Return whether a function returns something true, called in a process of its own."""
    child = os.fork()
    if child == 0:
        got = False
        with contextlib.suppress(BaseException):
            got = bool(function())
        os._exit(0 if got else 1)
    return os.waitpid(child, 0)[1] == 0


def _opens(path: str, mode: str = "rb") -> bool:
    with Path(path).open(mode):
        return True


def _answers(url: str, method: str = "GET", body: object = None) -> bool:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=3):
            return True
    except urllib.error.HTTPError:
        return True  # it was there to refuse


def _connects(address: str, *, user: str = "") -> bool:
    import psycopg

    with psycopg.connect(address, connect_timeout=3, **({"user": user} if user else {})):
        return True


# --- Reading what is not the student's


@attack("mount namespace: source/ is not in it")
def read_the_answers() -> object:
    """Read the teacher's notebook with the solution."""
    return _opens(TARGETS["answers"])


@attack("a copy of the project, with nothing of the course above it")
def climb_to_the_answers() -> object:
    """Read the teacher's notebook by climbing from the DAG file: ../../../source."""
    return _opens(str(HERE / TARGETS["answers_from_here"]))


@attack("mount namespace: of the course's code there is what commands need")
def read_hidden_checks() -> object:
    """Read the program of the hidden checks."""
    return _opens(TARGETS["checks"])


@attack("mount namespace")
def read_the_grading_secret() -> object:
    """Read the secret that the seeds of the grading months are made from."""
    return _opens(TARGETS["secret"])


@attack("mount namespace")
def read_the_gradebook() -> object:
    """Read the gradebook."""
    return _opens(TARGETS["gradebook"])


@attack("mount namespace")
def write_the_gradebook() -> object:
    """Open the gradebook to write points into it."""
    return _opens(TARGETS["gradebook"], "ab")


@attack("mount namespace: one submission is in it")
def read_another_submission() -> object:
    """Read another student's work."""
    return _opens(TARGETS["other_submission"])


@attack("mount namespace: of the home there is what leads to Python")
def read_the_teachers_home() -> object:
    """Find something in the teacher's home."""
    return [name for name in TARGETS["home_names"] if Path(TARGETS["home"], name).exists()]


@attack("mount namespace: only parts of /etc are in it")
def read_shadow() -> object:
    """Look whether the system's passwords are there."""
    return Path("/etc/shadow").exists()


@attack("the environment is made anew")
def read_the_teachers_environment() -> object:
    """Look for a secret in the environment."""
    return TARGETS["in_environment"] in os.environ


@attack("process namespace, with its own /proc")
def read_the_environment_of_others() -> object:
    """Look for a secret in the environment of every process, its own as it was started among them."""
    wanted = f"{TARGETS['in_environment']}=".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if path.parent.name != "self" and int(path.parent.name) != os.getpid() and wanted in path.read_bytes():
                return True
    return False


@attack("process namespace, with its own /proc")
def see_the_grader() -> object:
    """Find the process that grades."""
    return Path(f"/proc/{TARGETS['bystander']}/cmdline").read_bytes().startswith(b"sleep")


@attack("process and mount namespaces: no process of another root is there")
def climb_by_the_root_of_a_process() -> object:
    """Read a file of the machine's by way of the root of some process."""
    for root in Path("/proc").glob("[0-9]*/root"):
        with contextlib.suppress(OSError):
            return _opens(f"{root}{TARGETS['answers']}")
    return False


@attack("no descriptor is inherited")
def find_descriptors_of_ours() -> object:
    """Find a socket or a pipe of the scheduler's: its results are unpickled there."""
    for one in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if one > 2 and os.readlink(f"/proc/self/fd/{one}").startswith("pipe:"):
                return True
    return False


@attack("IPC namespace and an own /dev/shm")
def read_shared_memory() -> object:
    """Read a file of another process in /dev/shm."""
    return _opens(TARGETS["shared_memory"])


@attack("IPC namespace")
def attach_system_v_memory() -> object:
    """Find a segment of System V shared memory by its key."""
    return LIBC.shmget(TARGETS["segment"], 0, 0) >= 0


# --- Forging what the witnesses say


@attack("network namespace: the API server is not in it")
def forge_run_history() -> object:
    """Have Airflow's REST API call the run a success."""
    run = f"{TARGETS['api']}/api/v2/dags/taxi_pipeline/dagRuns/nothing"
    return _answers(run, "PATCH", {"state": "success"})


@attack("network namespace")
def reach_the_execution_api() -> object:
    """Reach the API that supervisors report task states to."""
    return _answers(f"{TARGETS['api']}/execution/health")


@attack("Postgres takes from a sandbox's address its own user alone")
def write_the_metadata_database() -> object:
    """Open the metadata database with the superuser's password, as if it had been found in memory."""
    return _connects(TARGETS["metadata"])


@attack("Postgres takes from a sandbox's address its own user alone")
def be_the_superuser_of_the_warehouse() -> object:
    """Open the warehouse as its superuser."""
    return _connects(TARGETS["warehouse_as_superuser"])


@attack("a user of its own for each sandbox")
def open_another_students_warehouse() -> object:
    """Open another submission's warehouse with the own user."""
    return _connects(os.environ["AIRFLOW_CONN_AZURE_PG"].rpartition("/")[0] + f"/{TARGETS['other_warehouse']}")


@attack("mount namespace")
def forge_the_access_log() -> object:
    """Open the source's access log to add to it."""
    return _opens(TARGETS["access_log"], "ab")


@attack("mount namespace")
def steer_the_source() -> object:
    """Write the file that makes the source fail or not."""
    return _opens(TARGETS["faults"], "ab")


@attack("mount namespace")
def read_months_from_the_disk() -> object:
    """List the source's files, with months that are not published."""
    return os.listdir(TARGETS["months"])


@attack("mount namespace")
def forge_notifications() -> object:
    """Open the log of notifications to add to it."""
    return _opens(TARGETS["notifications"], "ab")


@attack("mount namespace")
def write_evidence() -> object:
    """Write a file where evidence is kept."""
    return _written_and_removed(TARGETS["evidence"] + "/forged.json")


@attack("mount namespace: task logs are written by supervisors")
def write_task_logs() -> object:
    """Write where Airflow keeps the logs of tasks."""
    return _written_and_removed(TARGETS["logs"] + "/forged.log")


def _written_and_removed(path: str) -> bool:
    folder = Path(path).parent
    before = folder.stat()
    with Path(path).open("x"):
        pass
    Path(path).unlink()
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # or warm parents take it for an installation
    return True


# --- Reaching out


@attack("network namespace")
def reach_another_address() -> object:
    """Reach a server on an address of this machine that is not its loopback, as anything outside is."""
    with socket.create_connection((TARGETS["address"], TARGETS["port"]), timeout=3):
        return True


@attack("network namespace: a few ports are forwarded")
def reach_another_port() -> object:
    """Reach a server on the loopback that has nothing to do with the submission."""
    with socket.create_connection(("127.0.0.1", TARGETS["port"]), timeout=3):
        return True


@attack("network namespace")
def reach_an_abstract_socket() -> object:
    """Reach a Unix socket that has a name and no file."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect("\0" + TARGETS["abstract"])
        return True


@attack("mount namespace")
def reach_a_unix_socket() -> object:
    """Reach a Unix socket by its file: that of a warm parent, which runs what it is told to."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(TARGETS["socket"])
        return True


@attack("network namespace")
def listen_to_all_packets() -> object:
    """Listen to the machine's interfaces: see one that is not the loopback."""
    return [name for _, name in socket.if_nameindex() if name != "lo"]


# --- Harming others


@attack("process namespace")
def signal_the_grader() -> object:
    """Find out that a signal to the grader's process would arrive."""
    os.kill(TARGETS["bystander"], 0)
    return True


@attack("process namespace")
def signal_postgres() -> object:
    """Find out that a signal to Postgres would arrive."""
    os.kill(TARGETS["postgres"], 0)
    return True


@attack("process namespace")
def signal_the_source() -> object:
    """Find out that a signal to the source would arrive."""
    os.kill(TARGETS["source"], 0)
    return True


@attack("process namespace: a task's supervisor is outside of it")
def signal_its_parent() -> object:
    """Find out that a signal to the task's supervisor would arrive."""
    return os.getppid() > 1 and os.kill(os.getppid(), 0) is None


@attack("process namespace")
def trace_the_grader() -> object:
    """Attach to another process as a debugger does."""

    def attach() -> bool:
        if LIBC.ptrace(PTRACE_ATTACH, TARGETS["bystander"], 0, 0):
            return False
        os.waitpid(TARGETS["bystander"], 0x40000000)  # __WALL
        LIBC.ptrace(PTRACE_DETACH, TARGETS["bystander"], 0, 0)
        return True

    return _in_a_child(attach)


@attack("process namespace")
def read_the_memory_of_the_grader() -> object:
    """Open another process's memory."""
    return _opens(f"/proc/{TARGETS['bystander']}/mem")


@attack("limits that cannot be raised")
def raise_the_limits() -> object:
    """Lift the limit on the size of files."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return True


@attack("limit on processes")
def have_no_limit_on_processes() -> object:
    """Be allowed more than a thousand processes."""
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return most == resource.RLIM_INFINITY or most > 1000


@attack("limit on memory")
def have_no_limit_on_memory() -> object:
    """Be allowed to address 100 GiB."""
    import mmap

    unreserved = 0x4000
    mmap.mmap(-1, 100 * 2**30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | unreserved).close()
    return True


@attack("limit on open files")
def open_many_files() -> object:
    """Open 1,100 files at once."""

    def many() -> bool:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        return len([os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]) == 1100

    return _in_a_child(many)


@attack("limit on the size of a file")
def write_a_large_file() -> object:
    """Make a file of 70 MiB, which takes no room."""
    path = Path("large")

    def large() -> bool:
        with path.open("wb") as file:
            file.truncate(70 * 2**20)
        return True

    try:
        return _in_a_child(large)
    finally:
        path.unlink(missing_ok=True)


# --- Getting out


@attack("no user namespace can be made")
def make_a_user_namespace() -> object:
    """Get all privileges in a namespace of one's own."""
    return _in_a_child(lambda: LIBC.unshare(CLONE_NEWUSER) == 0)


@attack("no capability is left", as_root=True)
def mount_something() -> object:
    """Mount a file system."""
    return _in_a_child(lambda: LIBC.unshare(CLONE_NEWNS) == 0 and LIBC.mount(b"t", b"/tmp", b"tmpfs", 0, None) == 0)


@attack("no capability is left", as_root=True)
def become_root() -> object:
    """Become root."""
    os.setuid(0)
    return True


@attack("read-only /proc/sys", as_root=True)
def set_a_kernel_parameter() -> object:
    """Open a parameter of the kernel to set it."""
    return _opens("/proc/sys/kernel/core_pattern", "r+")


@attack("a /dev of its own", as_root=True)
def make_a_device() -> object:
    """Make a device file for the machine's memory."""
    os.mknod("device", 0o600 | 0o020000, os.makedev(1, 1))
    Path("device").unlink()
    return True


@attack("no capability is left", as_root=True)
def change_the_hosts_name() -> object:
    """Give the machine the name that it has."""
    name = socket.gethostname().encode()
    return LIBC.sethostname(name, len(name)) == 0


# --- Planting something for what comes next


@attack("read-only installation")
def plant_a_pth_file() -> object:
    """Put a .pth file into the installed packages: Python runs its lines at each start."""
    return _written_and_removed(f"{TARGETS['packages']}/course-attack.pth")


@attack("read-only installation")
def patch_airflow() -> object:
    """Open one of Airflow's modules to change it."""
    return _opens(f"{TARGETS['packages']}/airflow/__init__.py", "ab")


@attack("mount namespace: the checks are not in it")
def patch_the_checks() -> object:
    """Open the program of the checks to change it."""
    return _opens(TARGETS["checks"], "ab")


@attack("read-only course")
def patch_the_cluster_policy() -> object:
    """Open the cluster policy to change it."""
    return _opens(TARGETS["policy"], "ab")


@attack("read-only commands")
def replace_a_command() -> object:
    """Open the `airflow` that ours call to change it."""
    return _opens(TARGETS["command"], "ab")


@attack("AIRFLOW_HOME of the trusted processes is not there")
def plant_airflow_cfg() -> object:
    """Put an airflow.cfg where the scheduler looks for one."""
    Path(TARGETS["airflow_home"], "airflow.cfg.attack").write_text("[core]\n")
    return "checked from outside"


@attack("a /tmp of its own")
def plant_in_tmp() -> object:
    """Leave a file in /tmp."""
    Path(TARGETS["planted"]).write_text("from the last submission")
    return "checked from outside"


@attack("a copy of its own, in memory")
def change_what_was_handed_in() -> object:
    """Change the DAG file after it was read."""
    (HERE / "planted.py").write_text("# from the last submission")
    return "checked from outside"


@attack("a process that is left is in the process namespace, which ends")
def leave_a_daemon() -> object:
    """Leave a process behind that is nobody's child."""
    argv = [sys.executable, "-c", "import time; time.sleep(600)", TARGETS["daemon"]]
    child = os.fork()
    if child == 0:
        subprocess.Popen(argv, start_new_session=True, stdin=-3, stdout=-3, stderr=-3, env={})
        os._exit(0)
    os.waitpid(child, 0)
    return "checked from outside"


def tell(name: str, got: object, why: str) -> None:
    """Post what an attack got."""
    body = json.dumps({"attack": name, "got": got if isinstance(got, bool | str) else bool(got), "why": why[:300]})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(os.environ["AIRFLOW_CONN_NOTIFY"].removesuffix("/http"), body.encode(), timeout=10).close()


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def probes() -> None:
    """Try everything."""

    @task
    def try_all() -> None:
        for name, one in ATTACKS.items():
            got: object = False
            why = ""
            try:
                got = one()
            except Exception as error:
                why = repr(error)
            tell(name, got, why)

    try_all()


probes()
