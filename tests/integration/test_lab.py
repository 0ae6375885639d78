"""`./course lab`, really: a terminal in it has the warm commands, and the UI of its Airflow asks for no login."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import httpx
import nbformat
import pytest
from nbclient import NotebookClient
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from autograder.airflow_api import AirflowApi
from autograder.airflow_local.session import members
from autograder.paths import NOTEBOOKS, ROOT, STATE
from autograder.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def lab() -> Iterator[dict[str, str]]:
    """The addresses that `./course lab` prints, of Airflow and of JupyterLab."""
    before = set((STATE / "run").glob("*"))
    argv = [str(ROOT / "course"), "lab", "--no-browser"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        said: dict[str, str] = {}
        assert process.stdout
        try:
            for line in process.stdout:
                if found := re.match(r"(Airflow|JupyterLab): (\S+)", line):
                    said[found[1]] = found[2]
                if "JupyterLab" in said:
                    break
            (folder,) = set((STATE / "run").glob("*")) - before
            api = AirflowApi(said["Airflow"])
            until(lambda: api.dag("taxi_pipeline") is not None, "The DAG is not there", 120, "")
            yield said
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait() == 130
            assert members(folder) == []
            assert not folder.exists()
        finally:
            process.terminate()


def test_whoever_opens_the_ui_is_in(lab: dict[str, str]) -> None:
    with httpx.Client(base_url=lab["Airflow"], follow_redirects=True) as browser:
        page = browser.get("/")
        assert (page.status_code, "Airflow" in page.text) == (200, True)
        # What the page's program asks first, and where it goes when it is told that nobody is logged in.
        if browser.get("/ui/auth/me").status_code == 401:
            browser.get("/api/v2/auth/login")
        assert browser.get("/ui/auth/me").status_code == 200
        assert browser.get("/ui/dags").json()["dags"]


def test_a_kernel_that_another_editor_started_finds_the_airflow(lab: dict[str, str]) -> None:
    """As in VS Code: a kernel of .venv in the notebook's folder, which knows nothing of JupyterLab's environment."""
    sources = [
        "from autograder.notebook import start, task_graph",
        f"start({os.environ.get('AIRFLOW_STUDENT') or 'default'!r})",
        "!airflow dags list --columns dag_id --output plain",
        "!command -v dbt",
        'task_graph("taxi_pipeline")',
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}})
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}
    client.execute(env=bare)
    _, started, listed, found, graph = ["".join(one.get("text", "") for one in cell.outputs) for cell in notebook.cells]
    assert started == f"Airflow is healthy. Its UI is at {lab['Airflow']}\n"
    assert "taxi_pipeline" in listed
    assert "/.course/run/" in found
    assert not graph
    assert set(notebook.cells[-1].outputs[0].data) == {"text/html", "text/plain"}


async def in_a_terminal(lab: dict[str, str], *commands: str) -> str:
    """Type commands in a new terminal of the JupyterLab; return all that it shows until they have ended."""
    found = re.fullmatch(r"(http://[\d.:]+)/lab\S*token=(\w+)", lab["JupyterLab"])
    assert found
    url, token = found.groups()
    headers = {"Authorization": f"token {token}"}
    transport = httpx.AsyncHTTPTransport(retries=100)
    async with httpx.AsyncClient(base_url=url, headers=headers, transport=transport) as client:
        made = (await client.post("/api/terminals")).raise_for_status().json()
        address = f"{url.replace('http', 'ws', 1)}/terminals/websocket/{made['name']}"
        socket = await websocket_connect(HTTPRequest(address, headers=headers))
        for command in (*commands, "echo $((6 * 7))-ended"):
            await socket.write_message(json.dumps(["stdin", f"{command}\r"]))
        shown = ""
        while "42-ended" not in shown:
            message = await socket.read_message()
            assert message is not None, shown
            kind, *rest = json.loads(message)
            shown += rest[0] if kind == "stdout" else ""
        socket.close()
        await client.delete(f"/api/terminals/{made['name']}")
    return shown


def test_a_terminal_has_the_warm_commands(lab: dict[str, str]) -> None:
    commands = ("type -p airflow dbt uvx", "airflow dags list --columns dag_id --output plain", "dbt --version")
    shown = asyncio.run(asyncio.wait_for(in_a_terminal(lab, *commands), 120))
    assert len(re.findall(r"/\.course/run/\S+/bin/(airflow|dbt|uvx)", shown)) == 3, shown
    assert "taxi_pipeline" in shown
    assert "- installed:" in shown
    assert "starts by itself" not in shown
