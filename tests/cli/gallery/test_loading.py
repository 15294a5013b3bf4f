"""Sets that are read while the gallery is open, and what is reported of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from datm_cli.gallery import gallery_set
from datm_engine.errors import ConfigError, FileError, RunError
from datm_engine.hints import fix_text
from tests.cli.full_screen import until

from .conftest import captions, press, walk


def test_samples_that_are_damaged_or_gone_are_reported(make_run):
    run = make_run()
    (run / "samples" / "000200.safetensors").write_bytes(b"nothing")

    async def play(gallery, pilot):
        text = await press(pilot, "enter", "enter")
        assert "history  4 of 4" in text
        assert "1 cannot be read: /" in text
        (run / "samples" / "000300.safetensors").unlink()
        assert "iteration 300 can no longer be read" in await press(pilot, "left")

    walk([run], play)


def test_sets_of_other_classes_are_not_compared(make_run):
    async def play(gallery: object, pilot: Pilot[int]) -> None:
        raise AssertionError("it must not open")

    for other in (make_run("a", dataset="beasts"), make_run("b", names=("cat", "dog"))):
        with pytest.raises(ConfigError, match="only sets of the same classes") as raised:
            load_only([make_run(f"with {other.name}"), other])
        assert fix_text(raised.value.fix) == f"datm inspect 'with {other.name}'"


def load_only(targets, class_names=None):
    from datm_cli.gallery.gallery_app import set_loader

    return set_loader([str(target) for target in targets], class_names, Path("runs"), last=False)()


def test_what_is_not_there_is_reported_before_the_screen(tmp_path):
    from datm_cli.gallery.gallery_app import set_loader

    with pytest.raises(RunError, match="there is no run nothing"):
        set_loader(["nothing"], None, tmp_path, last=False)
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(ConfigError, match="--last"):
        set_loader([str(tmp_path / "a.safetensors")], None, tmp_path, last=True)


def test_what_is_damaged_ends_the_gallery_with_its_error(make_run):
    import asyncio

    from datm_cli.gallery.gallery_app import GalleryApp, set_loader

    run = make_run()
    (run / "distilled.safetensors").write_bytes(b"nothing")
    gallery = GalleryApp(["pets"], set_loader([str(run)], None, Path("runs"), last=False))

    async def play():
        async with gallery.run_test() as pilot:
            await until(pilot, lambda: gallery.error is not None)

    asyncio.run(play())
    assert isinstance(gallery.error, FileError)
    assert gallery.return_value == 1


def test_only_what_is_seen_becomes_pictures(make_run, monkeypatch):
    asked = []
    real = gallery_set.pictures_of

    def counted(synthetic, indices, **options):
        asked.extend(indices)
        return real(synthetic, indices, **options)

    monkeypatch.setattr(gallery_set, "pictures_of", counted)

    async def play(gallery, pilot):
        firsts = {0, 500, 1000}  # of the classes; they may be drawn again at any time
        assert set(asked) == firsts
        del asked[:]
        text = await press(pilot, "right", "enter")
        shown = {500 + int(caption[1:]) for caption in captions(text)}
        assert set(asked) | firsts == shown | firsts
        assert len(set(asked)) < 100

    walk([make_run(ipc=500, samples=1)], play)


def test_keys_wait_for_the_set(make_run):
    import asyncio

    from datm_cli.gallery.gallery_app import GalleryApp

    gallery = GalleryApp(["pets"], lambda: (_ for _ in ()).throw(FileError("late", "datm runs")))
    gallery._read = lambda: None  # never arrives

    async def play():
        async with gallery.run_test(size=(80, 24)) as pilot:
            await pilot.press("o", "c", "s", "S", "escape", "left_square_bracket", "enter")
            assert "loading pets …" in await press(pilot)

    asyncio.run(play())
