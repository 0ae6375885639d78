"""dbt packages from a hub of ours, once, and without one."""

import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.grading.dbt_packages import provide

ASKED = 'packages:\n- package: somebody/shapes\n  version: [">=1.0.0", "<2.0.0"]\n'


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a hub with one package; yield its folder."""
    root = tmp_path / "hub"
    api = root / "api" / "v1"
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in (
                ("shapes-1.2.0/dbt_project.yml", "name: shapes\nversion: 1.2.0\nconfig-version: 2\n"),
                ("shapes-1.2.0/macros/square.sql", "{% macro square(x) %}{{ x }} * {{ x }}{% endmacro %}"),
            ):
                about = tarfile.TarInfo(name)
                about.size = len(text)
                tar.addfile(about, io.BytesIO(text.encode()))
        about_it = {
            "name": "shapes",
            "packages": [],
            "require_dbt_version": [],
            "downloads": {"tarball": f"{url}/shapes.tar.gz", "sha1": hashlib.sha1(packed.getvalue()).hexdigest()},
            "id": "somebody/shapes/1.2.0",
            "version": "1.2.0",
        }
        (api / "somebody" / "shapes").mkdir(parents=True)
        (root / "shapes.tar.gz").write_bytes(packed.getvalue())
        (api / "index.json").write_text('["somebody/shapes"]')
        whole = {"name": "shapes", "namespace": "somebody", "latest": "1.2.0", "versions": {"1.2.0": about_it}}
        (api / "somebody" / "shapes.json").write_text(json.dumps(whole))
        (api / "somebody" / "shapes" / "1.2.0.json").write_text(json.dumps(about_it))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("DBT_PACKAGE_HUB_URL", f"{url}/")
        yield root
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def asking(folder: Path) -> Path:
    (folder / "include" / "dbt_project").mkdir(parents=True)
    (folder / "include" / "dbt_project" / "packages.yml").write_text(ASKED)
    return folder


def test_a_package_is_fetched_once_and_is_there_for_the_next(tmp_path: Path, hub: Path) -> None:
    first, second = asking(tmp_path / "first"), asking(tmp_path / "second")
    assert provide(first, tmp_path / "cache") == ["somebody/shapes"]
    assert "square" in (first / "include/dbt_project/dbt_packages/shapes/macros/square.sql").read_text()
    (hub / "api" / "v1" / "index.json").unlink()
    (hub / "shapes.tar.gz").unlink()
    provide(second, tmp_path / "cache")
    assert (second / "include/dbt_project/dbt_packages/shapes/dbt_project.yml").is_file()


def test_offline_it_says_which_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", "http://127.0.0.1:9/")
    with pytest.raises(
        CourseError, match=r"missing here and cannot be fetched: somebody/shapes >=1.0.0 <2.0.0"
    ) as told:
        provide(asking(tmp_path / "one"), tmp_path / "cache")
    assert told.value.exit_code == 2
    assert list((tmp_path / "cache").iterdir()) == []
