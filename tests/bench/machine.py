"""Where and what was measured: processors, versions, the package, and how much else ran meanwhile."""

import io
import os
import platform
import re
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _first(pattern: str, path: str, otherwise: str) -> str:
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found[1] if found else otherwise


def machine() -> str:
    model = _first(r"^model name\s*: (.+)$", "/proc/cpuinfo", platform.machine())
    memory = int(_first(r"^MemTotal:\s+(\d+)", "/proc/meminfo", "0")) / (1 << 20)
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GB, Linux {platform.release()}"


def _says(*command: str) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.strip()


def versions() -> str:
    """Of what was measured and of what it was built with."""
    commit = _says("git", "rev-parse", "--short=10", "HEAD")
    changed = " with changes" if _says("git", "status", "--porcelain", "--untracked-files=no") else ""
    rustc = " ".join(_says("rustc", "--version").split()[:2])
    python = f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    packages = [f"{name} {metadata.version(name)}" for name in ("boto3", "c7n") if _is_there(name)]
    return ", ".join([f"eks-sg-guard {commit}{changed}", rustc, python, *packages])


def _is_there(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def package(bootstrap: Path) -> tuple[int, str]:
    """Bytes and name of the newest package that is not older than its sources. Without one the program itself is zipped."""
    manifests = [ROOT / "Cargo.lock", ROOT / "Cargo.toml", ROOT / "core/Cargo.toml"]
    files = [*manifests, *(ROOT / "core/src").rglob("*.rs"), *(ROOT / "src").rglob("*.rs")]
    sources = max(each.stat().st_mtime for each in files)
    made = {zipped.stat().st_mtime: zipped for zipped in ROOT.glob("dist/*/bootstrap.zip")}
    if made and max(made) >= sources:
        zipped = made[max(made)]
        return zipped.stat().st_size, f"`{zipped.relative_to(ROOT)}` of `make package`"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(bootstrap, "bootstrap")
    return len(packed.getvalue()), "the measured program, zipped (there is no package of these sources from `make package`)"


def _busy() -> float:
    """Seconds that all processors have worked, for anybody."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    return sum(os.times()[:4])


@dataclass
class Others:
    """How busy others kept the processors since this was made."""

    _began: float = field(default_factory=time.monotonic)
    _busy: float = field(default_factory=_busy)
    _own: float = field(default_factory=_own)

    def share(self) -> float:
        whole = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, (_busy() - self._busy) - (_own() - self._own)) / whole
