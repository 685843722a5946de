"""What the machine has: versions of what is imported, the GPU, and whether a product in bfloat16 runs on it."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform

import torch

NEEDED = (
    *("torch", "numpy", "numba", "gymnasium", "shtab", "pygame", "tensorboard", "safetensors", "rich", "imageio"),
    *("matplotlib", "adam_atan2_pytorch", "pytest", "hypothesis"),
)
PACKAGES = {"pygame": "pygame-ce"}


def main() -> None:
    """Print, and fail where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = torch.device(parser.parse_args().device)
    print(f"Python {platform.python_version()}")
    missing = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
            print(f"{name:20} {importlib.metadata.version(PACKAGES.get(name, name))}")
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        print(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
    x = torch.randn(256, 256, device=device, dtype=torch.bfloat16)
    print(f"a product in bfloat16 has a norm of {float((x @ x).float().norm()):.0f} (about 4,096)")
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}")


if __name__ == "__main__":
    main()
