"""ZIP and tar archives given to --dataset: unpacked once, and never outside of their folder."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datm_engine.data import datasets
from datm_engine.errors import DataError, FileError
from datm_engine.hints import fix_text
from datm_engine.runs.events import DatasetProgress
from datm_engine.settings.image_size import Shape

from .conftest import counted

Load = Callable[..., Any]


def archive(folder: Path, name: str, *, inside: str = "") -> Path:
    """The folder's content, below `inside`, as NAME beside it."""
    path = folder.parent / name
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in files:
                packed.write(file, inside + str(file.relative_to(folder)))
        return path
    mode = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "bz2": "w:bz2"}.get(name.split(".")[-1], "w")
    with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]
        for file in files:
            packed.add(file, inside + str(file.relative_to(folder)))
    return path


@pytest.mark.parametrize(
    "name", ["p.zip", "P.ZIP", "p.tar", "p.tar.gz", "p.tgz", "p.tar.xz", "p.tar.bz2"]
)
@pytest.mark.parametrize("inside", ["", "pets/"])
def test_an_archive_of_class_folders_is_the_folder(
    name: str, inside: str, folder: Path, load: Load
) -> None:
    if name.isupper():
        path = archive(folder, name.lower(), inside=inside).rename(folder.parent / name)
    else:
        path = archive(folder, name, inside=inside)
    data, events = load(path)
    plain, _ = load(folder)
    assert (data.name, data.fingerprint) == (path.name.split(".")[0], plain.fingerprint)
    shown = [event for event in events if isinstance(event, DatasetProgress)]
    assert any(event.what == f"unpacking {path.name}" for event in shown)
    data_dir = folder.parent / "data"
    assert datasets.peek(str(path), data_dir=data_dir) == Shape(2, 3, 6, 6)
    assert counted(path, data_dir) == (8, False)


def test_an_archive_is_unpacked_once_and_again_when_its_content_changes(
    folder: Path, load: Load
) -> None:
    path = archive(folder, "p.zip")
    first = load(path)[0]
    assert not any("unpacking" in getattr(event, "what", "") for event in load(path)[1])
    (folder / "train" / "cat" / "0.png").unlink()
    archive(folder, "p.zip")
    assert len(load(path)[0].train) == len(first.train) - 1
    assert len(list((folder.parent / "data" / "unpacked").iterdir())) == 2


def test_what_a_mac_adds_to_an_archive_is_skipped(folder: Path, load: Load) -> None:
    path = archive(folder, "p.zip", inside="pets/")
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("__MACOSX/pets/._0.png", b"attributes")
        packed.writestr(".DS_Store", b"attributes")
    assert load(path)[0].class_names == ("cat", "dog")


def test_an_archive_of_arrays_or_of_mnist_is_read_too(
    tmp_path: Path, load: Load, picture: Callable[..., np.ndarray]
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    content = {"x": picture(0, 4, 4, 4), "y": np.array([0, 1, 0, 1])}
    np.savez(inner / "k.npz", **content)
    data, _ = load(archive(inner, "p.tar.gz"), test=0.5)
    assert data.shape == (1, 4, 4)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png", "..\\out.png"])
def test_names_that_lead_out_of_the_folder_are_refused(
    name: str, tmp_path: Path, load: Load
) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as packed:
        packed.writestr(name, b"out")
    with tarfile.open(tmp_path / "p.tar", "w") as other:
        other.addfile(entry(name))
    for path in (tmp_path / "p.zip", tmp_path / "p.tar"):
        with pytest.raises(DataError, match=r"is not unpacked: its entry .*out\.png' leads out of"):
            load(path)
    assert not list(tmp_path.rglob("out.png"))
    assert not list((tmp_path / "data" / "unpacked").iterdir())


@pytest.mark.parametrize("name", ["", "\0", "a\0.png"])
def test_names_that_no_file_can_have_are_refused(name: str, tmp_path: Path, load: Load) -> None:
    member = zipfile.ZipInfo()
    member.filename = name  # ZipInfo(name) would cut it at the null byte
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as packed:
        packed.writestr(member, b"")
    with tarfile.open(tmp_path / "p.tar", "w") as other:
        # Tar's own field ends at a null byte, but a record of the pax format may hold one.
        info = entry(name)
        info.pax_headers = {"path": name}
        other.addfile(info)
    for path in (tmp_path / "p.zip", tmp_path / "p.tar"):
        with pytest.raises(DataError, match=r"is not unpacked: its entry '.*' has no valid name"):
            load(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path, load: Load) -> None:
    with tarfile.open(tmp_path / "p.tar", "w") as packed:
        packed.addfile(entry("train", kind, "/etc"))
    with pytest.raises(DataError, match="its entry 'train' is a link or a device"):
        load(tmp_path / "p.tar")
    link = zipfile.ZipInfo("train")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as other:
        other.writestr(link, "/etc")
    with pytest.raises(DataError, match="its entry 'train' is a link or a device"):
        load(tmp_path / "p.zip")


def test_an_archive_larger_than_the_disk_is_refused_before_it_is_unpacked(
    tmp_path: Path, load: Load
) -> None:
    info = entry("zeros")
    info.size = 2**60
    (tmp_path / "p.tar").write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(DataError, match=r"needs 1152921\.5 TB unpacked, and .* are free"):
        load(tmp_path / "p.tar")


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tar.gz", "p.tar.xz", "p.tar.bz2"])
@pytest.mark.parametrize("kept", [0, 7, 0.5])
def test_archives_that_are_damaged_are_refused_and_leave_nothing(
    name: str, kept: float, folder: Path, load: Load
) -> None:
    path = archive(folder, name)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(DataError) as error:
        load(path)
    assert str(path) in error.value.message or "unpacked" in error.value.message
    assert not list((folder.parent / "data" / "unpacked").glob(".*"))


def test_a_tar_cut_short_between_two_files_is_refused(folder: Path, load: Load) -> None:
    path = archive(folder, "p.tar")
    path.write_bytes(path.read_bytes()[: 8 * 512])  # of each file 3 blocks of header and 1
    with tarfile.open(path) as packed:
        assert len(packed.getmembers()) == 2
    with pytest.raises(DataError, match=r"p\.tar cannot be unpacked: it is cut short"):
        load(path)


def test_an_encrypted_archive_is_refused(folder: Path, load: Load) -> None:
    path = archive(folder, "p.zip")
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = content.find(mark)
        while start >= 0:
            content[start + at] |= 1
            start = content.find(mark, start + 1)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"p\.zip cannot be unpacked: .*password"):
        load(path)


def test_a_data_folder_that_cannot_be_written_is_named(folder: Path, load: Load) -> None:
    path = archive(folder, "p.zip")
    blocked = folder.parent / "blocked"
    blocked.write_text("")
    with pytest.raises(FileError, match="blocked"):
        load(path, data_dir=blocked)
    unpacked = folder.parent / "data" / "unpacked"
    unpacked.mkdir(parents=True)
    unpacked.chmod(0o500)
    if os.access(unpacked, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(FileError, match="Permission denied"):
        load(path)


def test_an_archive_of_nothing_is_refused(tmp_path: Path, load: Load) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w"):
        pass
    with tarfile.open(fileobj=io.BytesIO(), mode="w"):
        pass
    with pytest.raises(DataError, match="p-"):
        load(tmp_path / "p.zip")


@pytest.mark.parametrize("name", ["C:out.png", "c:\\out.png", "\\out.png"])
def test_names_with_a_drive_are_refused(name: str, tmp_path: Path, load: Load) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as packed:
        packed.writestr(name, b"out")
    with pytest.raises(DataError, match="leads out of the folder"):
        load(tmp_path / "p.zip")


def test_an_archive_that_another_process_unpacks_meanwhile_is_used(
    folder: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename = archive(folder, "p.zip"), Path.rename

    def later(beside: Path, target: Path) -> Path:
        shutil.copytree(beside, target)
        return rename(beside, target)

    monkeypatch.setattr(Path, "rename", later)
    assert len(load(path)[0].train) == 8
    assert len(list((folder.parent / "data" / "unpacked").iterdir())) == 1


@pytest.mark.parametrize("name", ["p.zip", "p.tar"])
@pytest.mark.parametrize(
    ("entries", "reason"),
    [(["a", "a/b"], "(Not a directory|File exists)"), (["x" * 300], "File name too long")],
)
def test_entries_that_cannot_be_files_are_the_archives_fault(
    name: str, entries: list[str], reason: str, tmp_path: Path, load: Load
) -> None:
    path = tmp_path / name
    if name == "p.zip":
        with zipfile.ZipFile(path, "w") as packed:
            for each in entries:
                packed.writestr(each, b"")
    else:
        with tarfile.open(path, "w") as other:
            for each in entries:
                other.addfile(entry(each))
    with pytest.raises(DataError, match=rf"p\.\w+ cannot be unpacked: {reason}$") as error:
        load(path)
    assert fix_text(error.value.fix) == f"ls -l {path}"


def test_a_tar_shorter_than_a_block_is_damaged(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "p.tar"
    path.write_bytes(bytes(257) + b"ustar" + bytes(20))
    with pytest.raises(DataError, match=r"p\.tar cannot be unpacked: it is cut short"):
        load(path)


def test_a_full_disk_is_not_the_archives_fault(
    folder: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    with pytest.raises(FileError, match="cannot be written: No space left"):
        load(archive(folder, "p.zip"))
