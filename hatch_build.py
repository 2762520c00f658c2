"""Compiles the kernels into the wheel, and beside the code of an editable install.

By Zig's C compiler, which is a wheel itself: whoever installs from source needs no compiler of their own, and
the library is the same wherever it is built.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

FOLDER = Path("src", "shortlist", "kernels")
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")  # as kernels/library.py has it
FLAGS = ["-shared", "-O3", "-mcpu=baseline", "-std=c11", "-s", "-fno-builtin", "-Wall", "-Wextra", "-Werror"]
if sys.platform.startswith("linux"):
    FLAGS += ["-fPIC", "-nostdlib"]  # one library for glibc and musl


class Kernels(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch's build hook `custom`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. Raises CalledProcessError, with what the compiler said."""
        source, target = (Path(self.root, FOLDER, "kernels" + suffix) for suffix in (".c", SUFFIX))
        with tempfile.TemporaryDirectory() as cache:
            environ = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, "-o", str(target), str(source)]
            subprocess.run(command, check=True, env=environ)  # noqa: S603  # all of it is ours
        build_data["pure_python"] = False
        build_data["tag"] = (
            f"py3-none-{next(platform_tags())}"  # it knows nothing of Python, called by ctypes
        )
        build_data["artifacts"].append(f"/{target.relative_to(self.root).as_posix()}")
