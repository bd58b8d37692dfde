"""The package, as far as it can be made without a build of some minutes: the zip, the templates, what it is made of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from template import TEMPLATE, CloudFormationLoader

sys.path.insert(0, str(TEMPLATE.parent))

from deploy import __main__ as commands, deploy, package  # noqa: E402
from deploy.aws import Refusal  # noqa: E402

UNZIP = shutil.which("unzip")
ARM, X86 = package.ARCHS["arm64"], package.ARCHS["x86_64"]
CRATES = (
    "eks-sg-guard v0.1.0 (/tmp/checkout)\neks-sg-guard-core v0.1.0 (/tmp/checkout/core)\n"
    "serde v1.0.0\nserde v1.0.0 (*)\nno-such-crate v0.0.1+wasi\n"
)


def program(arch: package.Arch = ARM, symbols: bytes = b"") -> bytes:
    return b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + arch.machine.to_bytes(2, "little") + b"\0" + symbols + b"\0"


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(package, "DIST", tmp_path)
    return tmp_path


def made(arch: package.Arch = ARM, content: bytes | None = None) -> Path:
    """A package of a program, as `make package` leaves it."""
    folder = package.write(arch, content or program(arch), CRATES)
    (folder / package.SUMS).write_text(package.checksums(folder), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("content", "arch", "words"),
    [
        (program(ARM), ARM, None),
        (program(X86), X86, None),
        (program(ARM, b"\0GLIBC_2.17\0GLIBC_2.34\0GLIBC_2.4\0"), ARM, None),
        (program(ARM), X86, "another processor"),
        (program(ARM, b"\0GLIBC_2.35\0GLIBC_2.9\0"), ARM, "glibc 2.35"),
        (program(ARM, b"\0GLIBC_3.0\0"), ARM, "glibc 3.0"),
        (program(ARM, b"\0GLIBC_PRIVATE\0XGLIBC_2.99\0"), ARM, None),
        (b"#!/bin/sh\n", ARM, "no ELF"),
        (b"", ARM, "no ELF"),
    ],
)
def test_a_program_that_lambda_cannot_start_is_no_package(content: bytes, arch: package.Arch, words: str | None) -> None:
    if words is None:
        package.check_program(content, arch)
        return
    with pytest.raises(Refusal, match=words):
        package.check_program(content, arch)


def test_the_zip_is_the_same_twice_and_starts(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        package.pack(program(), tmp_path / name, package.deflated(program()))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        (entry,) = archive.infolist()
        assert archive.testzip() is None and archive.read(entry) == program()
    assert (entry.filename, entry.external_attr >> 16, entry.create_system) == ("bootstrap", 0o100755, 3)
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)
    # As others read it, who look at the header before the file, too.
    unpacked = subprocess.run(["unzip", "-p", tmp_path / "a.zip"], check=True, capture_output=True) if UNZIP else None
    assert unpacked is None or unpacked.stdout == program()


@pytest.mark.parametrize("stream", [package.deflated(program(X86)), package.deflated(program()) + b"\0", b"", b"no stream"])
def test_a_stream_that_does_not_give_back_the_program_is_refused_and_not_left(tmp_path: Path, stream: bytes) -> None:
    with pytest.raises(Refusal, match="does not give back the program"):
        package.pack(program(), tmp_path / "a.zip", stream)
    assert not list(tmp_path.iterdir())


def test_a_zip_that_is_too_large_is_refused_and_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "LARGEST", 10)
    with pytest.raises(Refusal, match="10 is the most"):
        package.pack(program(), tmp_path / "a.zip", package.deflated(program()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arch", package.ARCHS.values(), ids=str)
def test_a_packaged_template_takes_its_own_processor_and_no_other(arch: package.Arch) -> None:
    text = package.template_for(arch, TEMPLATE.read_text(encoding="utf-8"))
    template = yaml.load(text, CloudFormationLoader)
    original = yaml.load(TEMPLATE.read_text(encoding="utf-8"), CloudFormationLoader)
    assert template["Parameters"]["Architecture"]["AllowedValues"] == [arch.name]
    assert template["Parameters"]["Architecture"]["Default"] == arch.name
    assert template["Resources"]["GuardFunction"]["Properties"]["CodeUri"] == package.ZIP
    for each in (template, original):
        del each["Parameters"]["Architecture"], each["Resources"]["GuardFunction"]["Properties"]["CodeUri"]
    assert template == original


def test_a_template_that_is_written_in_another_way_is_not_packed_wrongly() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    processors = text.replace("AllowedValues: [arm64, x86_64]", "AllowedValues: [x86_64, arm64]")
    for other in (processors, text.replace("# Not there", "#")):
        with pytest.raises(Refusal, match="expects"):
            package.template_for(ARM, other)


def test_the_template_of_the_repository_cannot_be_deployed_by_mistake() -> None:
    """It would be a green stack with a function that cannot start."""
    template = yaml.load(TEMPLATE.read_text(encoding="utf-8"), CloudFormationLoader)
    uri = template["Resources"]["GuardFunction"]["Properties"]["CodeUri"]
    assert not (TEMPLATE.parent / uri).exists()
    assert (TEMPLATE.parent / uri).parent == package.DIST, "and nothing makes it: packages have folders of their own"


def test_what_it_is_made_of_is_said_in_cyclonedx_and_the_same_twice() -> None:
    bill = package.sbom(CRATES, ARM)
    assert bill == package.sbom(CRATES, ARM)
    assert bill["serialNumber"] != package.sbom(CRATES, X86)["serialNumber"]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    names = [(each["name"], each["version"]) for each in bill["components"]]
    assert names == [("no-such-crate", "0.0.1+wasi"), ("serde", "1.0.0")], "each once, without the program itself"


def test_checksums_of_the_lock_file_stand_in_it() -> None:
    name, version = next(line for line in lock_entries() if line[0] == "serde")
    (component,) = package.sbom(f"{name} v{version}\n", ARM)["components"]
    assert len(component["hashes"][0]["content"]) == 64


def lock_entries() -> list[tuple[str, str]]:
    text = (package.ROOT / "Cargo.lock").read_text(encoding="utf-8")
    found = [block.splitlines()[1:3] for block in text.split("\n\n") if block.startswith("[[package]]")]
    return [(name.split('"')[1], version.split('"')[1]) for name, version in found]


def test_only_a_package_that_is_whole_is_deployed(dist: Path) -> None:
    with pytest.raises(Refusal, match="no package for arm64: make package ARCH=arm64"):
        package.check_package(ARM)
    folder = made()
    assert package.check_package(ARM) == folder
    with pytest.raises(Refusal, match="no package for x86_64"):
        package.check_package(X86)
    original = (folder / package.TEMPLATE).read_text(encoding="utf-8")
    (folder / package.TEMPLATE).write_text(original + "# mine\n", encoding="utf-8")
    with pytest.raises(Refusal, match="was changed"):
        package.check_package(ARM)
    old = original.replace(f"eks-sg-guard {package.version()}:", "eks-sg-guard 0.0.1:")
    (folder / package.TEMPLATE).write_text(old, encoding="utf-8")
    (folder / package.SUMS).write_text(package.checksums(folder), encoding="utf-8")
    with pytest.raises(Refusal, match="another version"):
        package.check_package(ARM)


def test_a_new_package_replaces_the_old_one(dist: Path) -> None:
    (dist / "arm64").mkdir()
    (dist / "arm64/left-over").write_text("")
    folder = made()
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        [package.ZIP, package.TEMPLATE, package.MEMBER, package.SBOM, package.SUMS]
    )


def test_a_program_that_is_refused_leaves_the_package_of_before(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made()
    monkeypatch.setattr(package, "LARGEST", 10)
    for refused in (program(), program(X86)):
        with pytest.raises(Refusal):
            package.write(ARM, refused, CRATES)
    assert package.check_package(ARM) == folder
    assert [each.name for each in dist.iterdir()] == ["arm64"]


def test_rust_has_to_know_the_processor(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="rustup target add aarch64-unknown-linux-gnu"):
        package.check_target(ARM, tmp_path)
    (tmp_path / "lib/rustlib/aarch64-unknown-linux-gnu/lib").mkdir(parents=True)
    package.check_target(ARM, tmp_path)
    with pytest.raises(Refusal, match="expected arm64 or x86_64"):
        package.arch_of("sparc")


def test_the_program_is_built_as_it_is_locked_and_without_the_command_line() -> None:
    command = package.build_command(ARM, Path("/home/me/.cargo"))
    assert "--locked" in command and "cli" not in command
    assert command[-1] == "aarch64-unknown-linux-gnu.2.34"
    assert command[command.index("--compiler") + 1] == "cargo-zigbuild", "or this machine's own C library is linked"


def test_the_program_does_not_tell_where_it_was_built() -> None:
    config = next(each for each in package.build_command(ARM, Path("/home/me/.cargo")) if each.startswith("build."))
    assert json.loads(config.partition("=")[2]) == [
        "--remap-path-prefix=/home/me/.cargo=cargo",
        f"--remap-path-prefix={package.ROOT}=eks-sg-guard",
    ]
    given = {"PATH": "/bin", "RUSTFLAGS": "-g", "CARGO_ENCODED_RUSTFLAGS": "-g"}
    kept = {"PATH": "/bin", "AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}
    assert package.build_environment(given) == kept, "flags of the environment would win"


# ---------------------------------------------------------------- what SAM is told


def test_sam_asks_once_and_then_takes_what_is_named() -> None:
    first = deploy.command("guard", Path("dist/arm64"), "arm64", {"GuardMode": "enforce"}, is_known=False)
    then = deploy.command("guard", Path("dist/arm64"), "arm64", {}, is_known=True)
    assert "--guided" in first and "--guided" not in then
    for each in (first, then):
        assert each[each.index("--template-file") + 1] == "dist/arm64/template.yaml"
        assert "CAPABILITY_NAMED_IAM" in each
    assert first[-2:] == ["Architecture=arm64", "GuardMode=enforce"]
    assert then[-1] == "Architecture=arm64"


def test_each_stack_is_asked_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "CONFIG", tmp_path / "samconfig.toml")
    assert not deploy.is_configured("guard")
    (tmp_path / "samconfig.toml").write_text("version = 0.1\n[guard.deploy.parameters]\nregion = 'us-east-1'\n")
    assert deploy.is_configured("guard")
    assert not deploy.is_configured("another") and not deploy.is_configured("uard")


@pytest.mark.parametrize("pair", ["GuardMode", "=enforce", "Guard Mode=enforce", "--x=1"])
def test_what_is_no_parameter_is_refused(pair: str) -> None:
    assert commands.parameters(["GuardMode=enforce", "TopicArn="]) == {"GuardMode": "enforce", "TopicArn": ""}
    with pytest.raises(Refusal, match="expected NAME=VALUE"):
        commands.parameters([pair])


@pytest.mark.parametrize("name", ["sam", "lambda", "lint", "prove"])
def test_tools_are_pinned_and_hashed(name: str) -> None:
    lines = (package.ROOT / f"deploy/{name}.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line[:1].isalnum()]
    assert pinned and all("==" in line for line in pinned)
    asked = (package.ROOT / f"deploy/{name}.in").read_text(encoding="utf-8").splitlines()
    wanted = [line.split("==")[0] for line in asked if line[:1].isalnum()]
    assert all(any(line.startswith(f"{each}==") for line in pinned) for each in wanted)
    assert json.dumps(lines).count("--hash=sha256:") >= len(pinned)
