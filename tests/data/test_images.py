"""Single images as people bring them: turned by EXIF, deep, of several frames, HEIC."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from datm_engine.data.decoding import decode_images
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.errors import DataError, DatmError
from datm_engine.hints import fix_text
from datm_engine.runs.events import ignore

Picture = Callable[..., np.ndarray]
PLACE = Path("an image")
UPRIGHT = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def stored(array: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores with this orientation, so that it is shown as `array`."""
    turned = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.T,
        6: np.rot90(array),
        7: array[::-1, ::-1].T,
        8: np.rot90(array, -1),
    }
    return np.ascontiguousarray(turned[orientation])


def tags(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(array: np.ndarray, colour_type: int) -> bytes:
    """16 bits a channel, which Pillow does not write in colour. array: [height, width, …]."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def pgm(white: int, values: Sequence[int]) -> bytes:
    pixels = np.array(values, ">u2" if white > 255 else "u1").tobytes()
    return b"P5\n%d 1\n%d\n" % (len(values), white) + pixels


def read(*contents: bytes, size: tuple[int, int] | None = None) -> tuple[np.ndarray, list[str]]:
    """[n, channels, height, width], and the notes."""
    places = [Path(f"image {n}") for n in range(len(contents))]
    options = LoadOptions("images", Path(), size, skip_damaged=False)
    decoded = decode_images.decode(places, contents.__getitem__, options, emit=ignore)
    return decoded.images.numpy(), list(decoded.notes)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
    def test_an_image_is_turned_upright(self, kind: str, orientation: int) -> None:
        drawn = UPRIGHT.repeat(16, 0).repeat(16, 1)  # JPEG keeps blocks of one shade
        image = Image.fromarray(stored(drawn, orientation)).convert("RGB")
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(image, kind, exif=tags(orientation), **options)
        assert decode_images.encoded_size(PLACE, content)[0] == (64, 48)
        pixels = read(content)[0][0, 0].astype(int)
        assert pixels.shape == (48, 64)
        assert abs(pixels - drawn).max() <= 2

    def test_avif_is_turned_upright(self) -> None:
        drawn = UPRIGHT.repeat(16, 0).repeat(16, 1)
        content = encoded(
            Image.fromarray(stored(drawn, 6)).convert("RGB"), "AVIF", quality=100, exif=tags(6)
        )
        assert decode_images.encoded_size(PLACE, content)[0] == (64, 48)
        assert abs(read(content)[0][0, 0].astype(int) - drawn).max() <= 4

    @pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
    def test_whatever_the_mode(self, mode: str) -> None:
        drawn = np.array([[0, 255, 255, 0], [0, 0, 0, 255]], np.uint8)
        if mode == "I;16":
            image = Image.fromarray(stored(drawn.astype(np.uint16) * 257, 6))
        else:
            image = Image.fromarray(stored(drawn, 6)).convert(mode)
        content = encoded(image, "PNG", exif=tags(6))
        assert read(content)[0][0, 0].tolist() == drawn.tolist()

    def test_an_image_is_resized_after_it_is_turned(self) -> None:
        drawn = np.array([[0] * 8 + [200] * 8] * 4, np.uint8)
        content = encoded(Image.fromarray(stored(drawn, 8)), "PNG", exif=tags(8))
        pixels = read(content, size=(4, 2))[0][0, 0]
        assert pixels[:, 0].tolist() == [0, 0]
        assert pixels[:, 3].tolist() == [200, 200]

    def test_sizes_are_compared_upright(self) -> None:
        image = Image.fromarray(UPRIGHT)
        turned = Image.fromarray(stored(UPRIGHT, 6))
        contents = [encoded(turned, "PNG", exif=tags(6)), encoded(image, "PNG")]
        assert read(*contents)[0][:, 0].tolist() == [UPRIGHT.tolist()] * 2

    @pytest.mark.parametrize("stated", [0, 9, 65535])
    def test_an_orientation_that_is_none_is_ignored(self, stated: int) -> None:
        content = encoded(Image.fromarray(UPRIGHT), "PNG", exif=tags(stated))
        assert read(content)[0][0, 0].tolist() == UPRIGHT.tolist()

    @pytest.mark.filterwarnings("ignore")  # Pillow's, about the EXIF data
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    def test_broken_exif_leaves_the_pixels(self, kind: str) -> None:
        draws = np.random.default_rng(0)
        sound = tags(6).tobytes()
        for length in range(0, len(sound), 3):
            noise = draws.integers(0, 256, len(sound), np.uint8).tobytes()
            for broken in (sound[:length], b"Exif\0\0" + noise, sound[:length] + noise):
                content = encoded(Image.new("RGB", (4, 4), "white"), kind, exif=broken)
                assert decode_images.encoded_size(PLACE, content)[0] == (4, 4)
                assert read(content)[0].min() == 255


class TestDeepGreys:
    @pytest.mark.parametrize(
        ("values", "bits", "right"),
        [
            ([0, 1, 128, 255], 8, [0, 1, 128, 255]),
            ([0, 256, 512, 1023], 10, [0, 64, 128, 255]),
            ([0, 16, 2048, 4095], 12, [0, 1, 128, 255]),
            ([0, 64, 8192, 16383], 14, [0, 1, 128, 255]),
            ([0, 128, 129, 16384], 16, [0, 0, 1, 64]),
            ([0, 257, 32896, 65535], 16, [0, 1, 128, 255]),
        ],
    )
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "wide TIFF", "big-endian TIFF"])
    def test_the_bits_that_are_used_are_the_range(
        self, values: list[int], bits: int, right: list[int], kind: str
    ) -> None:
        deep = np.array([values], np.int32 if kind == "wide TIFF" else np.uint16)
        if kind == "big-endian TIFF":
            image = Image.frombytes("I;16B", (4, 1), deep.astype(">u2").tobytes())
        else:
            image = Image.fromarray(deep)
        pixels, notes = read(encoded(image, kind.split()[-1]))
        assert pixels.tolist() == [[[right]]]
        assert notes == [
            "1 grey image of more than 8 bits: values are divided by "
            f"{2**bits - 1}, the largest of {bits} bits, because their largest is {max(values)}"
        ]

    def test_all_images_have_one_range_in_any_order(self) -> None:
        tops = [255, 4095, 100, 1023]
        contents = [encoded(Image.fromarray(np.array([[top]], np.uint16)), "PNG") for top in tops]
        pixels, notes = read(*contents)
        assert pixels[:, 0, 0, 0].tolist() == [16, 255, 6, 64]
        assert read(*contents[::-1])[0][::-1].tolist() == pixels.tolist()
        assert "4 grey images" in notes[0]
        assert "12 bits" in notes[0]

    def test_images_of_eight_bits_beside_them_keep_their_own_range(self) -> None:
        deep = encoded(Image.fromarray(np.array([[4095]], np.uint16)), "PNG")
        plain = encoded(Image.fromarray(np.array([[100]], np.uint8)), "PNG")
        pixels, notes = read(plain, deep)
        assert pixels[:, 0, 0, 0].tolist() == [100, 255]
        assert notes[1] == "1 image of 8 bits beside them: divided by 255"

    @pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
    def test_a_file_that_states_its_white_is_believed(self, white: int) -> None:
        half = read(pgm(white, [0, white // 2]))[0][0, 0, 0]
        assert half.tolist() == [0, 127]
        assert read(pgm(white, [white]))[0].max() == 255

    def test_a_file_that_states_its_white_leaves_the_bits_of_the_others(self) -> None:
        deep = encoded(Image.fromarray(np.array([[4095]], np.uint16)), "PNG")
        plain = encoded(Image.fromarray(np.array([[100]], np.uint8)), "PNG")
        stating = pgm(1023, [1023])
        for contents in ((deep, stating, plain), (stating, deep, plain)):
            pixels, notes = read(*contents)
            assert pixels[:, 0, 0, 0].tolist() == [255, 255, 100]
            assert notes == [
                "1 grey image of more than 8 bits: values are divided by 4095, the largest of 12 "
                "bits, because their largest is 4095",
                "1 image of 8 bits beside them: divided by 255",
                "1 grey image of more than 8 bits in PGM or JPEG 2000: divided by the stated white",
            ]

    @pytest.mark.parametrize("plain", [False, True])
    def test_a_pgm_file_of_fewer_bits_than_its_header_allows_has_the_range_of_its_bits(
        self, plain: bool
    ) -> None:
        content = b"P2\n3 1\n65535\n0 2007 4014\n" if plain else pgm(65535, [0, 2007, 4014])
        pixels, notes = read(content)
        assert pixels.tolist() == [[[[0, 125, 250]]]]
        assert notes == [
            "1 grey image of more than 8 bits: values are divided by 4095, the largest of 12 bits, "
            "because their largest is 4014"
        ]

    def test_so_has_a_jpeg_2000_file(self) -> None:
        deep = np.array([[0, 2007, 4014]], np.uint16)
        pixels, notes = read(encoded(Image.fromarray(deep), "JPEG2000"))
        assert pixels.tolist() == [[[[0, 125, 250]]]]
        assert "12 bits, because their largest is 4014" in notes[0]

    def test_a_jpeg_2000_file_of_twelve_bits_is_divided_by_its_white(self) -> None:
        deep = np.array([[0, 2007, 4014]], np.uint16) + 2**15 - 2**11  # stored around the middle
        content = bytearray(encoded(Image.fromarray(deep), "JPEG2000", no_jp2=True))
        content[42] = 12 - 1
        pixels, notes = read(bytes(content))
        assert pixels.tolist() == [[[[0, 125, 250]]]]
        assert notes == [
            "1 grey image of more than 8 bits in PGM or JPEG 2000: divided by the stated white"
        ]

    @pytest.mark.parametrize("value", [-1, 65536, 100_000])
    def test_values_of_more_than_sixteen_bits_are_refused(self, value: int) -> None:
        content = encoded(Image.fromarray(np.array([[0, value]], np.int32)), "TIFF")
        with pytest.raises(DataError, match=rf"1 image of a kind .*image 0 \(a value of {value}"):
            read(content)


class TestDeepColours:
    def test_the_upper_eight_bits_are_used_and_that_is_reported(self) -> None:
        pixels, notes = read(png(np.array([[[65535, 32896, 255]]], np.uint16), 2))
        assert pixels[0, :, 0, 0].tolist() == [255, 128, 0]
        assert notes == ["1 colour image of 16 bits a channel: the upper 8 bits are used"]

    @pytest.mark.parametrize(("top", "factor"), [(255, 257), (1023, 64), (4095, 16), (16383, 4)])
    @pytest.mark.parametrize("channels", [3, 4])
    def test_few_used_bits_are_refused(self, top: int, factor: int, channels: int) -> None:
        values = np.full((1, 1, channels), top, np.uint16)
        if channels == 4:
            values[..., 3] = 65535  # opaque
        with pytest.raises(DataError, match="1 colour image of 16 bits a channel with") as error:
            read(png(values, {3: 2, 4: 6}[channels]))
        assert f"values below {(top // 256 + 1) * 256}: only" in error.value.message
        assert f"-evaluate multiply {factor} -depth 8 'image 0'" in fix_text(error.value.fix)

    def test_few_used_bits_of_a_ppm_file_are_refused(self) -> None:
        dark = np.full((1, 1, 3), 4014, ">u2").tobytes()
        with pytest.raises(DataError, match="1 colour image of 16 bits a channel with"):
            read(b"P6\n1 1\n65535\n" + dark)

    def test_the_depth_of_a_jpeg_2000_file_is_recognised(self) -> None:
        content = bytearray(encoded(Image.new("RGB", (1, 1)), "JPEG2000", no_jp2=True))
        for channel in range(3):
            content[42 + 3 * channel] = 16 - 1
        assert read(bytes(content))[1] == [
            "1 colour image of 16 bits a channel: the upper 8 bits are used"
        ]


class TestDeepGreysWithTransparency:
    def test_are_grey_over_white_and_that_is_reported(self) -> None:
        deep = np.array([[[65535, 65535], [32896, 65535], [0, 0]]], np.uint16)
        content = png(deep, 4)
        assert decode_images.encoded_size(PLACE, content) == ((3, 1), True)
        pixels, notes = read(content)
        assert pixels.tolist() == [[[[255, 128, 255]]]]
        assert notes == [
            "1 grey image with transparency of 16 bits a channel: the upper 8 bits are used"
        ]

    def test_few_used_bits_are_refused(self) -> None:
        with pytest.raises(DataError, match="1 grey image with transparency of 16 bits") as error:
            read(png(np.array([[[4095, 65535]]], np.uint16), 4))
        assert "-evaluate multiply 16 -depth 8 'image 0'" in fix_text(error.value.fix)

    def test_beside_others_each_kind_is_counted(self) -> None:
        white = np.full((1, 1, 4), 65535, np.uint16)
        deep = encoded(Image.fromarray(white[..., 0]), "PNG")
        _, notes = read(deep, png(white[..., :3], 2), png(white[..., :2], 4))
        assert notes[1:] == [
            "1 colour image of 16 bits a channel: the upper 8 bits are used",
            "1 grey image with transparency of 16 bits a channel: the upper 8 bits are used",
        ]


def test_print_colours_of_a_jpeg_are_not_inverted() -> None:
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = read(content)[0][0, :, 4, 4].tolist()
    assert red > 240
    assert max(green, blue) < 15


def test_lab_colours_become_rgb() -> None:
    rgb = Image.new("RGB", (4, 4), (200, 40, 90))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(rgb, *profiles, outputMode="LAB")
    assert lab is not None
    pixels = read(encoded(lab, "TIFF"))[0][0, :, 0, 0].astype(int)
    assert abs(pixels - [200, 40, 90]).max() <= 3


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_used_and_that_is_reported(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), shade) for shade in ("white", "black")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    pixels, notes = read(content)
    assert pixels.min() == 255
    assert notes == ["1 file of several frames: the first is used"]


class TestHeic:
    def content(self, **options: Any) -> bytes:
        heif = pytest.importorskip("pillow_heif")
        image = Image.fromarray(UPRIGHT.repeat(16, 0).repeat(16, 1)).convert("RGB")
        file = io.BytesIO()
        heif.from_pillow(image).save(file, quality=-1, **options)
        return file.getvalue()

    def test_is_read_whatever_it_is_called(self) -> None:
        pixels, _ = read(self.content())
        assert pixels.shape == (1, 3, 48, 64)
        assert abs(pixels[0, 0, ::16, ::16].astype(int) - UPRIGHT).max() <= 4

    def test_is_turned_once(self) -> None:
        content = self.content(exif=tags(6).tobytes())
        (width, height), _ = decode_images.encoded_size(PLACE, content)
        assert read(content)[0].shape[2:] == (height, width)

    def test_without_its_package_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = self.content()
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        with pytest.raises(DatmError, match="reading image 0 takes a package") as error:
            read(content)
        assert fix_text(error.value.fix) == "pip install 'datm[heic]'"


def test_an_empty_file_is_called_that() -> None:
    with pytest.raises(DataError, match="image 0 is not a readable image: the file is empty"):
        read(b"")
