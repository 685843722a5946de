"""Frames into a GIF or an MP4, whole or not at all."""

from __future__ import annotations

import contextlib
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".gif", ".mp4")
_FPS = 10  # of an MP4, whose frames all last equally long


class Recorder:
    """Collects frames and writes them when it is closed; a context manager.

    The file appears complete or not at all: it is written beside its place and then renamed. Frames wait
    compressed, some 40 kB each, so a long recording fits into memory.

    Args:
        path: ends in .gif or .mp4.

    Raises:
        HrmGymError: for another suffix, or where the folder cannot be written to. Both are told before the
            first frame, not after the last.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            raise HrmGymError(f"cannot record to {self.path.name!r}: the name must end in {' or '.join(SUFFIXES)}")
        if self.path.is_dir():
            raise HrmGymError(f"cannot record to {str(self.path)!r}: it is a folder; give a file name")
        try:
            with tempfile.NamedTemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise self._refusal(error) from None
        self._frames: list[bytes] = []
        self._seconds: list[float] = []
        self._shape: tuple[int, ...] = ()
        self.written = False

    def add(self, rgb: np.ndarray, seconds: float) -> None:
        """One more frame.

        Args:
            rgb: uint8 array of shape (H, W, 3), of the same size as the others.
            seconds: how long it is to be seen.
        """
        self._shape = rgb.shape
        self._frames.append(zlib.compress(rgb.tobytes(), 1))
        self._seconds.append(seconds)

    def close(self) -> None:
        """Writes the file, if there is a frame to write; closing again does nothing.

        Raises:
            HrmGymError: where it cannot be written; an older file of that name is then as it was.
        """
        if not self._frames:
            return
        suffix = self.path.suffix.lower()
        part = self.path.with_name(f".{self.path.stem}.part{suffix}")
        try:
            (self._write_gif if suffix == ".gif" else self._write_mp4)(part)
            part.replace(self.path)
            self.written = True
        except OSError as error:
            raise self._refusal(error) from None
        finally:
            self._frames = []
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _images(self) -> Iterator[np.ndarray]:
        for data in self._frames:
            yield np.frombuffer(zlib.decompress(data), np.uint8).reshape(self._shape)

    def _write_gif(self, path: Path) -> None:
        from PIL import Image

        colours, counts = _census(self._images())
        palette = _palette(colours, counts)
        nearest = _nearest(colours, palette)

        def indexed() -> Iterator[Image.Image]:
            for frame in self._images():
                image = Image.fromarray(nearest[np.searchsorted(colours, _packed(frame))])
                image.putpalette(palette.tobytes())
                yield image

        images = indexed()
        # The format counts hundredths of a second, and many viewers slow down what is shorter than two.
        milliseconds = [max(round(100 * s), 2) * 10 for s in self._seconds]
        next(images).save(path, save_all=True, append_images=images, duration=milliseconds, loop=0)

    def _write_mp4(self, path: Path) -> None:
        import imageio.v2 as iio
        import imageio_ffmpeg

        times = [max(round(_FPS * s), 1) for s in self._seconds]
        writer: Any
        with iio.get_writer(
            path, fps=_FPS, codec="libx264", quality=7, macro_block_size=2, ffmpeg_log_level="quiet"
        ) as writer:
            for frame, repeat in zip(self._images(), times, strict=True):
                for _ in range(repeat):
                    writer.append_data(frame)
        # The encoder can die of a full disk without a word.
        try:
            written = imageio_ffmpeg.count_frames_and_secs(str(path))[0]
        except RuntimeError:
            written = 0
        if written != sum(times):
            raise OSError("incomplete")

    def _refusal(self, error: OSError) -> HrmGymError:
        reason = error.strerror or "the encoder stopped early, the disk may be full"
        return HrmGymError(f"cannot write {str(self.path)!r} ({reason}): give --record another place")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Ctrl-C is how a person ends an endless recording, not a reason to lose it.
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()


def _packed(rgb: np.ndarray) -> np.ndarray:
    """Colours, uint8 of shape (..., 3), as one number each."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _unpacked(colours: np.ndarray) -> np.ndarray:
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1).astype(np.uint8)


def _census(frames: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The packed colours that occur in the frames, in order, and how often each does."""
    each = [np.unique(_packed(frame), return_counts=True) for frame in frames]
    colours, place = np.unique(np.concatenate([colours for colours, _ in each]), return_inverse=True)
    return colours, np.bincount(place, np.concatenate([counts for _, counts in each]))


def _palette(colours: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """At most 256 colours, uint8 of shape (P, 3), for all frames: what does not change does not flicker.

    Half of them are the commonest colours as they are. Each of the others is the colour that is farthest from
    all before it, however rare it is: a small mark keeps its hue beside a large board.
    """
    ordered = _unpacked(colours[np.argsort(-counts, kind="stable")]).astype(np.int32)
    chosen = list(ordered[:128])
    far = np.full(len(ordered), np.iinfo(np.int32).max)
    for i in range(min(len(ordered), 256)):
        if i >= 128:
            chosen.append(ordered[far.argmax()])
        far = np.minimum(far, ((ordered - chosen[i]) ** 2).sum(-1))
    return np.array(chosen, np.uint8)


def _nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """For each packed colour the index, uint8, of the palette's nearest."""
    nearest = np.empty(len(colours), np.uint8)
    for start in range(0, len(colours), 4096):  # a few megabytes at a time
        some = _unpacked(colours[start : start + 4096]).astype(np.int32)
        nearest[start : start + 4096] = ((some[:, None] - palette.astype(np.int32)) ** 2).sum(-1).argmin(1)
    return nearest
