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
            raise HrmGymError(
                f"cannot record to {self.path.name!r}: the name must end in {' or '.join(SUFFIXES)}"
            )
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

        palette = _palette(self._images(), len(self._frames))
        indexed = (
            Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in self._images()
        )
        # The format counts hundredths of a second, and many viewers slow down what is shorter than two.
        milliseconds = [max(round(100 * s), 2) * 10 for s in self._seconds]
        next(indexed).save(path, save_all=True, append_images=indexed, duration=milliseconds, loop=0)

    def _write_mp4(self, path: Path) -> None:
        import imageio.v2 as iio
        import imageio_ffmpeg

        times = [max(round(_FPS * s), 1) for s in self._seconds]
        writer: Any
        with iio.get_writer(path, fps=_FPS, codec="libx264", quality=7, macro_block_size=2) as writer:
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


def _palette(frames: Iterator[np.ndarray], num: int) -> Image.Image:
    """One palette for all frames: what does not change then neither flickers nor costs bytes.

    Half of it are the commonest colours as they are; the other half spreads over all that occur, however
    rarely, so that a small mark keeps its hue beside a large board.
    """
    from PIL import Image

    thin = max(1, round((num / 8) ** 0.5))  # some five million pixels are looked at, however many frames
    samples = (frame[::thin, ::thin].reshape(-1, 3).astype(np.uint32) for frame in frames)
    packed = np.concatenate([(rgb << np.array([16, 8, 0], np.uint32)).sum(-1) for rgb in samples])
    colours, counts = np.unique(packed, return_counts=True)
    colours = colours[np.argsort(-counts, kind="stable")]
    bytes_ = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1).astype(np.uint8)
    common, rare = bytes_[:128], bytes_[128:]
    entries = common.tobytes()
    if len(rare):
        entries += bytes(
            Image.fromarray(rare[None]).quantize(128, Image.Quantize.MEDIANCUT).getpalette() or ()
        )
    palette = Image.new("P", (1, 1))
    palette.putpalette(entries[: 256 * 3])
    return palette
