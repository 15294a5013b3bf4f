"""A folder that cannot be written is named, with the option that takes another."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datm_engine.runs.events import RunEnded
from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder, recorded

Datm = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that can be written."""
    place = tmp_path.parent / f"{tmp_path.name}-home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Make a folder one that nothing can be written to. Tests may run as root, whom no permission
    stops, so the system's calls are replaced."""

    def make(folder: Path, number: int) -> None:
        inside = str(folder.resolve())

        def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
            def called(path: Any, *given: Any, **options: Any) -> Any:
                writes = call is not open or set("wax+") & set(str((*given, "r")[0]))
                here = os.path.abspath(path) if isinstance(path, str | Path) else ""
                if writes and (here + "/").startswith(inside + "/") and not os.path.isdir(here):
                    raise OSError(number, os.strerror(number), str(path))
                return call(path, *given, **options)

            return called

        monkeypatch.setattr("os.mkdir", refusing(os.mkdir))
        monkeypatch.setattr("io.open", refusing(open))
        access = os.access

        def accessible(path: Any, mode: int, **options: Any) -> bool:
            here = os.path.abspath(path) + "/"
            return not (mode & os.W_OK and here.startswith(inside + "/")) and access(
                path, mode, **options
            )

        monkeypatch.setattr("os.access", accessible)

    return make


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_run_in_a_read_only_folder_is_advised_another(
    number: int, datm: Datm, settings: Path, home: Path, read_only: Callable[[Path, int], None]
) -> None:
    read_only(Path(), number)
    answer = datm("distill", "--config", settings, "--quiet")
    wrong = f"runs cannot be written: {os.strerror(number)}"
    assert_two_lines(answer, 1, f"error: {wrong}", f"--runs-dir {home}/runs")
    assert ".part" not in answer.err


def test_experts_in_a_read_only_folder_are_advised_another(
    datm: Datm, settings: Path, home: Path, read_only: Callable[[Path, int], None]
) -> None:
    Path("experts").mkdir()
    read_only(Path("experts"), errno.EROFS)
    advised = f"--experts-dir {home}/experts"
    answer = datm("experts", "--config", settings, "--quiet")
    assert_two_lines(answer, 1, "error: experts cannot be written: Read-only file", advised)
    run = datm("distill", "--config", settings, "--quiet", "--name", "r")
    assert_two_lines(run, 1, "error: experts cannot be written: Read-only file", advised)


def test_decoded_images_in_a_read_only_folder_are_advised_another(
    datm: Datm, settings: Path, home: Path, tmp_path: Path, read_only: Callable[[Path, int], None]
) -> None:
    images = image_folder(tmp_path / "images")
    Path("data").mkdir()
    read_only(Path("data"), errno.EACCES)
    words = ["--dataset", images, "--preset", "digits", "--set", "dataset.train_images=all"]
    answer = datm("experts", *words, "--config", settings, "--data-dir", "data", "--quiet")
    assert_two_lines(answer, 1, "error: data cannot be written: Perm", f"--data-dir {home}/data")


def test_tunes_and_studies_in_a_read_only_folder_are_advised_another(
    datm: Datm, settings: Path, home: Path, read_only: Callable[[Path, int], None]
) -> None:
    pytest.importorskip("optuna")
    read_only(Path(), errno.EROFS)
    tune = datm("tune", "--config", settings, "--budget", 2, "--quiet")
    assert_two_lines(tune, 1, "error: tunes cannot be written", f"--tunes-dir {home}/tunes")
    study = datm("study", "methods", "--methods", "datm,mtt", "--config", settings, "--ipc", 1)
    assert_two_lines(study, 1, "cannot be written: Read-only", f"--to {home}/digits-methods")


@pytest.mark.parametrize(
    ("words", "option", "name"),
    [(["report", "r"], "--to", "r.html"), (["report", "r", "--to", "x.html"], "--to", "x.html")],
)
def test_a_page_in_a_read_only_folder_is_advised_another(
    words: list[str],
    option: str,
    name: str,
    datm: Datm,
    home: Path,
    read_only: Callable[[Path, int], None],
) -> None:
    recorded(Path("runs"), "r", [RunEnded(status="done", iteration=0)])
    read_only(Path(), errno.EROFS)
    answer = datm(*words)
    assert_two_lines(answer, 1, f"error: {name} cannot be written: Read", f"{option} {home}/{name}")


def test_where_the_home_folder_cannot_be_written_either_it_is_one_for_temporary_files(
    datm: Datm, settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    read_only: Callable[[Path, int], None],
) -> None:  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    read_only(Path(), errno.EROFS)
    answer = datm("distill", "--config", settings, "--quiet")
    assert_two_lines(answer, 1, "runs cannot be written", "--runs-dir /tmp/runs")


def test_a_data_folder_that_cannot_be_written_leaves_no_run(
    datm: Datm, settings: Path, home: Path, read_only: Callable[[Path, int], None], tmp_path: Path
) -> None:
    read_only(tmp_path / "data", errno.EROFS)
    photos = image_folder(tmp_path / "photos")
    words = ["--dataset", photos, *FOLDER, "--config", settings, "--name", "mine", "--quiet"]
    answer = datm("distill", *words, "--data-dir", "data")
    assert_two_lines(answer, 1, "error: data cannot be written: Read", f"--data-dir {home}/data")
    assert "--name mine" in answer.err
    assert list(Path("runs").iterdir()) == []
