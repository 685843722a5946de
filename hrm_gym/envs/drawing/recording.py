"""Recording frames to a GIF, an MP4 or a strip (PNG), written atomically."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hrm_gym.errors import HrmGymError, extra
from hrm_gym.files import check_new, replacing

SUFFIXES = (".gif", ".mp4", ".png")
STRIP = ".png"
"""Suffix of a strip, a picture with all frames side by side."""

_MOST_IN_A_ROW = 8  # maximum frames of a strip; more are thinned evenly
FADE_FRAMES, FADE_SECONDS = 3, 0.05
"""Number of transition frames of a GIF between two segments, and their duration in seconds."""
_PALETTE_FRAMES = 16  # maximum frames to compute a GIF's palette from, 1.8 MB each
_FPS = 10  # frame rate of an MP4


class Recorder:
    """Collects frames and writes them when it is closed; a context manager.

    The file is written atomically: first to a temporary file, which is then renamed. Frames are kept compressed, about
    40 kB each, so a long recording fits into memory.

    Args:
        path: ends in .gif or .mp4, or in .png for a strip with one row per episode.
        overwrite: whether an existing file may be replaced.

    Raises:
        HrmGymError: if the suffix is unknown, the folder is not writable, the file exists already, or a library is
            missing. This is checked before the first frame.
    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            raise HrmGymError(
                f"cannot record to {self.path.name!r}: the name must end in .gif or .mp4, or in .png for a strip"
            )
        check_new(self.path, overwrite)
        for module in ("imageio.v2", "imageio_ffmpeg") if self.path.suffix.lower() == ".mp4" else ("PIL.Image",):
            extra(module, "video", f"recording {self.path.name}")
        self._frames: list[bytes] = []
        self._seconds: list[float] = []
        self._starts: list[int] = []
        self._passing: set[int] = set()  # transition frames
        self._shape: tuple[int, ...] = ()
        self.written = False

    @property
    def is_strip(self) -> bool:
        """Whether frames are placed side by side instead of shown one after another."""
        return self.path.suffix.lower() == STRIP

    def fade(self, rgb: np.ndarray) -> float:
        """Add a transition from the last frame to this one, which must be added next; return its duration in seconds.

        MP4s, whose frame rate is too low, and strips have no transitions.
        """
        if self.path.suffix.lower() != ".gif" or not self._frames:
            return 0.0
        before, after = self._image(self._frames[-1]).astype(np.float32), rgb.astype(np.float32)
        for i in range(1, FADE_FRAMES + 1):
            share = i / (FADE_FRAMES + 1)
            self._passing.add(len(self._frames))
            self.add((before + (after - before) * share).astype(np.uint8), FADE_SECONDS)
        return FADE_FRAMES * FADE_SECONDS

    def add(self, rgb: np.ndarray, seconds: float, first: bool = False) -> None:
        """Add a frame.

        Args:
            rgb: uint8 array of shape (H, W, 3), of the same size as all other frames.
            seconds: duration.
            first: whether it begins an episode, and so a new row of a strip.
        """
        self._shape = rgb.shape
        if first or not self._frames:
            self._starts.append(len(self._frames))
        self._frames.append(zlib.compress(rgb.tobytes(), 1))
        self._seconds.append(seconds)

    def close(self) -> None:
        """Write the file if there are frames; closing again does nothing.

        Raises:
            HrmGymError: if it cannot be written; an existing file is then unchanged.
        """
        if not self._frames:
            return
        try:
            write = {".gif": self._write_gif, ".mp4": self._write_mp4, STRIP: self._write_strip}
            with replacing(self.path) as part:
                write[self.path.suffix.lower()](part)
            self.written = True
        finally:
            self._frames = []

    def _images(self) -> Iterator[np.ndarray]:
        for data in self._frames:
            yield self._image(data)

    def _image(self, data: bytes) -> np.ndarray:
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(self._shape)

    def _write_gif(self, path: Path) -> None:
        from PIL import Image

        # One palette for all frames avoids flicker. It is computed without transition frames, which take its nearest
        # colours. "Maximum coverage" keeps the hue of small marks, which the median cut loses beside a large board; a
        # round of k-means gives large areas their exact colour.
        stay = [data for i, data in enumerate(self._frames) if i not in self._passing]
        sample = np.linspace(0, len(stay) - 1, min(len(stay), _PALETTE_FRAMES)).round().astype(int)
        stacked = Image.fromarray(np.concatenate([self._image(stay[i]) for i in sample]))
        palette = stacked.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
        images = (Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in self._images())
        # GIF durations are hundredths of a second, and many viewers slow down frames shorter than two.
        milliseconds = [max(round(100 * s), 2) * 10 for s in self._seconds]
        next(images).save(path, save_all=True, append_images=images, duration=milliseconds, loop=0)

    def _write_strip(self, path: Path) -> None:
        from PIL import Image

        frames = list(self._images())
        ends = [*self._starts[1:], len(frames)]
        rows = []
        for start, end in zip(self._starts, ends, strict=True):
            shown = np.linspace(start, end - 1, min(end - start, _MOST_IN_A_ROW)).round().astype(int)
            rows.append(np.concatenate([frames[i] for i in shown], axis=1))
        width = max(row.shape[1] for row in rows)
        page = rows[0][0, 0]  # the background colour
        padded = [np.full((len(row), width, 3), page, np.uint8) for row in rows]
        for place, row in zip(padded, rows, strict=True):
            place[:, : row.shape[1]] = row
        Image.fromarray(np.concatenate(padded)).save(path)

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
        # The encoder can fail silently on a full disk.
        try:
            written = imageio_ffmpeg.count_frames_and_secs(str(path))[0]
        except RuntimeError:
            written = 0
        if written != sum(times):
            raise OSError("the encoder stopped early, the disk may be full")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Ctrl-C is the normal end of an endless recording, so write the file.
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
