"""The package: a program for Lambda in a zip that is always the same, its templates, what it is made of, and checksums.

What a template must not be deployed with it cannot be: the packaged one takes the one processor that the program beside it
was built for, and the one in the repository names a program that is never there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import module
from .aws import Refusal, Say

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BUILT = ROOT / "target/lambda"
FEATURES = ["--no-default-features", "--features", "aws"]
GLIBC = (2, 34)  # what provided.al2023 has
LARGEST = 8_000_000
DEFLATED, EXECUTABLE, FIRST_OF_1980 = 8, 0o100755 << 16, 0x21  # as a zip says it
ZIP, TEMPLATE, MEMBER, EXPANDED, MODULE, SBOM, SUMS = (
    "bootstrap.zip", "template.yaml", "member.yaml", "template.expanded.json", "terraform", "sbom.cdx.json", "SHA256SUMS",
)  # fmt: skip


@dataclass(frozen=True)
class Arch:
    """A processor, as Lambda, Rust and ELF name it."""

    name: str
    target: str
    machine: int


ARCHS = {
    "arm64": Arch("arm64", "aarch64-unknown-linux-gnu", 183),
    "x86_64": Arch("x86_64", "x86_64-unknown-linux-gnu", 62),
}


def arch_of(name: str) -> Arch:
    try:
        return ARCHS[name]
    except KeyError as error:
        raise Refusal(f"ARCH is `{name}`; expected {' or '.join(ARCHS)}") from error


def version() -> str:
    """Of both packages; it is the first in the file."""
    return re.findall(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)[0]


# ---------------------------------------------------------------- building


def check_target(arch: Arch, sysroot: Path) -> None:
    """Rust's own library for the processor has to be installed; nothing of it is installed here without being asked."""
    if not (sysroot / "lib/rustlib" / arch.target / "lib").is_dir():
        raise Refusal(
            f"Rust cannot build for {arch.name} here: `{arch.target}` is not installed. Install it with"
            f" `rustup target add {arch.target}`, or build for this machine's processor with ARCH=…"
        )


def build_command(arch: Arch, cargo_home: Path) -> list[str]:
    """With zig as linker, for the oldest C library that Lambda's runtime has; cargo-lambda takes it by itself only for other
    processors than this machine's. Where it is built must not be seen in the program."""
    target = f"{arch.target}.{'.'.join(map(str, GLIBC))}"
    places = [f"--remap-path-prefix={place}={name}" for place, name in ((cargo_home, "cargo"), (ROOT, "eks-sg-guard"))]
    command = ["cargo", "lambda", "build", "--profile", "function", "--locked", "--bin", "bootstrap", *FEATURES]
    command += ["--compiler", "cargo-zigbuild", "--lambda-dir", str(BUILT), "--config"]
    return [*command, f"build.rustflags={json.dumps(places)}", "--target", target]


def build_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Flags of the shell would take the place of those of the command.

    AWS-LC seeds itself from the jitter of the processor, which takes 50 ms and more of the first event of each process. Told
    not to, it takes what the kernel and the processor have, as other providers of TLS do (docs/benchmarks.md,
    docs/decisions/0021).
    """
    kept = {name: value for name, value in given.items() if name not in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")}
    return kept | {"AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}


# ---------------------------------------------------------------- what was built


def check_program(program: bytes, arch: Arch) -> None:
    """It starts on Lambda, as far as that can be seen."""
    if program[:4] != b"\x7fELF":
        raise Refusal("the program that was built is no ELF file")
    machine = int.from_bytes(program[18:20], "little")
    if machine != arch.machine:
        raise Refusal(f"the program was built for another processor (ELF machine {machine}) than {arch.name}")
    newest = newest_glibc(program)
    if newest > GLIBC:
        wanted, has = (".".join(map(str, each)) for each in (newest, GLIBC))
        raise Refusal(f"the program needs glibc {wanted}, and provided.al2023 has {has}: build it with `make package`")


def newest_glibc(program: bytes) -> tuple[int, int]:
    """The newest version of the C library that any symbol asks for; (0, 0) if it asks for none."""
    found = re.findall(rb"\bGLIBC_(\d{1,3})\.(\d{1,3})\b", program)
    return max(((int(major), int(minor)) for major, minor in found), default=(0, 0))


def deflated(program: bytes) -> bytes:
    """As Python can by itself."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(program) + packer.flush()


def deflated_well(program: bytes) -> bytes:
    """A thirtieth smaller, in about a minute: zopfli tries what zlib does not."""
    command = [ROOT / ".tools/lambda/bin/python", "-m", "deploy.deflate"]
    return subprocess.run(command, check=True, cwd=ROOT, input=program, stdout=subprocess.PIPE).stdout


def check_stream(program: bytes, stream: bytes) -> None:
    """It gives back the program, and nothing stands behind it."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        is_it = unpacker.decompress(stream) == program and unpacker.eof and not unpacker.unused_data
    except zlib.error:
        is_it = False
    if not is_it:
        raise Refusal("what was deflated does not give back the program: make the package again")


def pack(program: bytes, to: Path, stream: bytes) -> None:
    """Twice the same bytes of the same program and the same stream. Python's own writer takes no stream of others."""
    check_stream(program, stream)
    name = b"bootstrap"
    sizes = zlib.crc32(program), len(stream), len(program)
    common = struct.pack("<HHHHHIIIHH", 20, 0, DEFLATED, 0, FIRST_OF_1980, *sizes, len(name), 0)
    file = b"PK\x03\x04" + common + name + stream
    unix = 3 << 8 | 20
    entry = b"PK\x01\x02" + struct.pack("<H", unix) + common + struct.pack("<HHHII", 0, 0, 0, EXECUTABLE, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(file), 0)
    size = len(file) + len(entry) + len(end)
    if size > LARGEST:
        raise Refusal(f"the zip has {size:,} bytes, and {LARGEST:,} is the most: what made it grow?")
    to.write_bytes(file + entry + end)


def template_for(arch: Arch, text: str) -> str:
    """The template that belongs beside the zip, and takes no other processor."""
    text, programs = re.subn(r"^( +)# Not there: .*\n +CodeUri: .*$", rf"\1CodeUri: {ZIP}", text, flags=re.MULTILINE)
    allowed = re.escape("    AllowedValues: [arm64, x86_64]")
    text, processors = re.subn(
        rf"^    Default: arm64\n{allowed}$",
        f"    Default: {arch.name}\n    AllowedValues: [{arch.name}]",
        text,
        flags=re.MULTILINE,
    )
    if (programs, processors) != (1, 1):
        raise Refusal("template.yaml does not name its program and its processors as `make package` expects")
    return text


def sbom(tree: str, arch: Arch) -> dict[str, object]:
    """What the program is made of, as CycloneDX, from what `cargo tree` prints: `name vVERSION`, one crate a line."""
    crates = sorted({(name, number) for name, number in re.findall(r"^([\w-]+) v(\S+)", tree, re.MULTILINE)})
    sums = dict(
        ((name, number), checksum)
        for name, number, checksum in re.findall(
            r'^name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(\w+)"$',
            (ROOT / "Cargo.lock").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    components = []
    for name, number in crates:
        if name.startswith("eks-sg-guard"):  # the program and its core: no registry has either
            continue
        component = {"type": "library", "name": name, "version": number, "purl": f"pkg:cargo/{name}@{number}"}
        if checksum := sums.get((name, number)):
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]  # type: ignore[assignment]
        components.append({"bom-ref": component["purl"], **component})
    own = f"pkg:cargo/eks-sg-guard@{version()}"
    # Made of the content, so that it is the same twice.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([own, arch.name, components]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "bom-ref": own, "type": "application", "name": "eks-sg-guard", "version": version(), "purl": own,
                "properties": [{"name": "arch", "value": arch.name}],
            }
        },
        "components": components,
    }  # fmt: skip


def checksums(folder: Path) -> str:
    """As `sha256sum --check` reads them."""
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each != folder / SUMS)
    named = ((hashlib.sha256(each.read_bytes()).hexdigest(), each.relative_to(folder).as_posix()) for each in files)
    return "".join(f"{digest}  {name}\n" for digest, name in named)


def check_package(arch: Arch) -> Path:
    """The folder of a package that is complete, as it was made, and of this version."""
    folder = DIST / arch.name
    again = f"make package ARCH={arch.name}"
    if not (folder / SUMS).is_file():
        raise Refusal(f"there is no package for {arch.name}: {again}")
    if (folder / SUMS).read_text(encoding="utf-8") != checksums(folder):
        raise Refusal(f"the package in {folder} was changed since it was made: {again}")
    if f"eks-sg-guard {version()}:" not in (folder / TEMPLATE).read_text(encoding="utf-8"):
        raise Refusal(f"the package in {folder} is of another version than {version()}: {again}")
    check_program(zipfile.ZipFile(folder / ZIP).read("bootstrap"), arch)
    return folder


# ---------------------------------------------------------------- all of it


def package(name: str, say: Say) -> None:
    """Needs a build of some minutes, cargo-lambda and zig on the path, and SAM's translator in `.tools/sam`."""
    arch = arch_of(name)
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    check_target(arch, Path(sysroot.strip()))
    say(f"Building for {arch.name}; the first time this takes many minutes.")
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    subprocess.run(build_command(arch, cargo_home), check=True, cwd=ROOT, env=build_environment(os.environ))
    tree = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", *FEATURES, "--target", arch.target]
    crates = subprocess.run(tree, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    folder = write(arch, (BUILT / "bootstrap/bootstrap").read_bytes(), crates, deflated_well)
    expand = [ROOT / ".tools/sam/bin/python", "-m", "deploy.expand", folder / TEMPLATE, folder / EXPANDED]
    subprocess.run(expand, check=True, cwd=ROOT)
    finish(folder)
    size = (folder / ZIP).stat().st_size / 1e6
    say(f"{folder}: {size:.2f} MB. Deploy it with make deploy ARCH={arch.name}.")


def write(arch: Arch, program: bytes, crates: str, deflate: Callable[[bytes], bytes] = deflated) -> Path:
    """All of the package but the expanded template and what is made of that."""
    check_program(program, arch)
    folder, zipped = DIST / arch.name, DIST / f"{arch.name}.zip"
    DIST.mkdir(parents=True, exist_ok=True)
    pack(program, zipped, deflate(program))  # one that is refused leaves the package of before
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    zipped.replace(folder / ZIP)
    text = (ROOT / TEMPLATE).read_text(encoding="utf-8")
    (folder / TEMPLATE).write_text(template_for(arch, text), encoding="utf-8")
    (folder / MEMBER).write_text((ROOT / MEMBER).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / SBOM).write_text(json.dumps(sbom(crates, arch), indent=1) + "\n", encoding="utf-8")
    return folder


def finish(folder: Path) -> None:
    """The Terraform module, whose inputs are the packaged template's, and the checksums of everything."""
    shutil.copytree(module.SOURCE, folder / MODULE)
    template = json.loads((folder / EXPANDED).read_text(encoding="utf-8"))
    (folder / MODULE / module.INTERFACE).write_text(module.text(template), encoding="utf-8")
    (folder / SUMS).write_text(checksums(folder), encoding="utf-8")
