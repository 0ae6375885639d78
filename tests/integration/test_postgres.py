"""Is the embedded Postgres made once, closed to others, and gone without a trace?"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from autograder.airflow_local import postgres
from autograder.airflow_local.postgres import TEMPLATE_DATABASE, WAREHOUSE, Postgres
from autograder.airflow_local.session import Session, free_port
from autograder.errors import CourseError
from autograder.paths import ROOT

pytestmark = pytest.mark.integration

# A program that holds a running Postgres, or one whose template is being made.
HOLDER = """
import signal, sys
from pathlib import Path
from autograder.airflow_local import postgres
from autograder.airflow_local.session import Session

def pause(session):
    print(session.folder, flush=True)
    signal.pause()

with Session.open(Path(sys.argv[1])) as session:
    if sys.argv[2] == "half-made":
        postgres.start(session, lambda uri: pause(session), state=Path(sys.argv[1]))
    postgres.start(session, lambda uri: None, state=Path(sys.argv[1]))
    pause(session)
"""


def migrate(uri: str) -> None:
    """Stand in for Airflow's migration, which takes long."""
    with psycopg.connect(uri.replace("+psycopg2", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE migrated ()")


def tables(database: Postgres, name: str) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    with database.connect(name) as connection:
        return [table for (table,) in connection.execute(query)]


def postmaster(session: Session) -> psutil.Process:
    return psutil.Process(int((session.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a template."""
    state = tmp_path_factory.mktemp("made")
    with Session.open(state) as session:
        postgres.start(session, migrate, state=state)
    return state


@pytest.fixture
def state(made: Path, tmp_path: Path) -> Path:
    """A state folder of its own, which shares the template."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "cache").symlink_to(made / "cache")
    return tmp_path / "state"


@pytest.fixture(scope="module")
def running(made: Path) -> Iterator[Postgres]:
    """A Postgres with an Airflow's database beside the warehouse."""
    with Session.open(made) as session:
        database = postgres.start(session, pytest.fail, state=made)
        database.create_database("airflow", template=TEMPLATE_DATABASE)
        database.create_database(WAREHOUSE, owner=WAREHOUSE)
        yield database


def test_the_template_is_made_once_and_then_copied(tmp_path: Path) -> None:
    def files(template: Path) -> dict[Path, tuple[int, int, int]]:
        return {path: (s.st_ino, s.st_mtime_ns, s.st_size) for path in template.rglob("*") for s in [path.lstat()]}

    with Session.open(tmp_path) as session:
        first = postgres.start(session, migrate, state=tmp_path)
        (template,) = (tmp_path / "cache").iterdir()
        before = files(template)
        with first.connect(TEMPLATE_DATABASE) as connection:
            connection.execute("CREATE TABLE left_behind ()")
    with Session.open(tmp_path) as session:
        second = postgres.start(session, pytest.fail, state=tmp_path)
        second.create_database("airflow", template=TEMPLATE_DATABASE)
        assert tables(second, "airflow") == ["migrated"]
    assert files(template) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "logs", "run"]
    assert list((tmp_path / "run").iterdir()) == []


def test_a_template_of_other_packages_makes_room_for_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "cache" / "postgres-0123456789ab").mkdir(parents=True)
    with Session.open(tmp_path) as session:
        postgres.start(session, migrate, state=tmp_path)
    (template,) = (tmp_path / "cache").iterdir()
    assert (template / "PG_VERSION").exists()


def test_two_first_runs_at_once_share_the_quicker_ones_template(tmp_path: Path) -> None:
    def outrun(uri: str) -> None:
        with Session.open(tmp_path) as other:
            postgres.start(other, migrate, state=tmp_path)

    with Session.open(tmp_path) as session:
        database = postgres.start(session, outrun, state=tmp_path)
        assert tables(database, TEMPLATE_DATABASE) == ["migrated"]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_migration_that_fails_leaves_no_template(tmp_path: Path) -> None:
    def fail(uri: str) -> None:
        raise CourseError("`airflow db migrate` failed.")

    with pytest.raises(CourseError, match="migrate"), Session.open(tmp_path) as session:
        postgres.start(session, fail, state=tmp_path)
    assert not list(tmp_path.glob("cache/*"))
    assert list((tmp_path / "run").iterdir()) == []


def test_the_dags_user_owns_the_warehouse_and_nothing_else(running: Postgres) -> None:
    with psycopg.connect(running.uri(WAREHOUSE, user=WAREHOUSE)) as connection:
        connection.execute("CREATE SCHEMA airflow_ada CREATE TABLE trips ()")
        rights = "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(rights).fetchone() == (False, False, False)


@pytest.mark.parametrize("name", ["airflow", TEMPLATE_DATABASE, "postgres", "template1"])
def test_the_dags_user_cannot_reach_another_database(running: Postgres, name: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(running.uri(name, user=WAREHOUSE))


def test_only_the_right_password_opens(running: Postgres) -> None:
    uri = running.uri(WAREHOUSE, user=WAREHOUSE)
    password = uri.split(":")[2].split("@")[0]
    admin = uri.replace("//warehouse", "//postgres")
    for wrong in (uri.replace(password, "wrong"), uri.replace(f":{password}", ""), admin):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)


def test_it_listens_on_localhost_only(state: Path) -> None:
    with Session.open(state) as session:
        database = postgres.start(session, pytest.fail, state=state)
        listening = [one for one in postmaster(session).net_connections("all") if one.status == psutil.CONN_LISTEN]
        assert [tuple(one.laddr) for one in listening] == [("127.0.0.1", database.port)]


def test_a_port_that_was_taken_meanwhile_is_given_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Session.open(state) as session:
        ports = iter([taken.getsockname()[1], free := free_port()])
        monkeypatch.setattr(postgres, "free_port", lambda: next(ports))
        database = postgres.start(session, pytest.fail, state=state)
        assert database.port == free
        assert tables(database, TEMPLATE_DATABASE) == ["migrated"]


def test_no_free_port_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Session.open(state) as session:
        monkeypatch.setattr(postgres, "free_port", lambda: taken.getsockname()[1])
        with pytest.raises(CourseError, match="found no free port"):
            postgres.start(session, pytest.fail, state=state)


def test_two_clones_run_side_by_side(state: Path, running: Postgres) -> None:
    with Session.open(state) as session:
        other = postgres.start(session, pytest.fail, state=state)
        other.create_database("only_here")
        assert other.port != running.port
        with pytest.raises(psycopg.OperationalError, match='"only_here" does not exist'):
            running.connect("only_here")
    assert tables(running, WAREHOUSE) == []


def test_it_runs_for_an_ordinary_user(made: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests have shown it: this user is not root")
    setpriv = shutil.which("setpriv")
    if not setpriv:
        pytest.skip("needs setpriv")
    # May read what root's folders hide, the packages for one, but not write there.
    user = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search"]
    user += ["--ambient-caps=+dac_read_search", sys.executable, "-c", HOLDER]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        shutil.copytree(made / "cache", state / "cache", symlinks=True)
        subprocess.run(["chown", "-R", "65534:65534", folder], check=True)
        holder = subprocess.Popen(
            [*user, str(state), "whole"], cwd=ROOT, env={**os.environ, "HOME": folder},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            said = holder.stdout.readline().strip() if holder.stdout else ""
            assert said, holder.communicate()[1]
            pid = int((Path(said) / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            assert (server := psutil.Process(pid)).uids().effective == 65534
            holder.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in holder.communicate(timeout=30)[1]
            assert not running_still(server)
            assert list((state / "run").iterdir()) == []
        finally:
            holder.kill()
            holder.communicate()


def eventually(condition: Callable[[], object], limit: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit} s"
        time.sleep(0.02)


def running_still(process: psutil.Process) -> bool:
    """Return whether a process has not ended (its parent may not have noticed that it has)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def segments() -> set[str]:
    """Return the ids of the System V shared memory of this machine."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=str)
@pytest.mark.parametrize("kind", ["whole", "half-made"])
def test_nothing_is_left_of_it(made: Path, tmp_path: Path, kind: str, number: signal.Signals) -> None:
    state = tmp_path / "state"
    if kind == "whole":
        state.mkdir()
        subprocess.run(["cp", "-a", f"{made}/cache", state], check=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state), kind], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = holder.stdout.readline().strip() if holder.stdout else ""
        assert said, holder.communicate()[1]
        (pid_file,) = Path(said).glob("*/postmaster.pid")
        pid, segment = int(pid_file.read_text().splitlines()[0]), pid_file.read_text().splitlines()[6].split()[1]
        family = [psutil.Process(pid), *psutil.Process(pid).children()]
        assert len(family) > 3
        assert segment in segments()
        holder.send_signal(number)
        holder.communicate(timeout=30)
        eventually(lambda: not any(map(running_still, family)) and not Path(said).exists())
        assert segment not in segments()
        assert not list(Path("/dev/shm").glob("PostgreSQL.*"))
        assert list((state / "cache").iterdir()) if kind == "whole" else not list(state.glob("cache/*"))
    finally:
        holder.kill()
        holder.communicate()
