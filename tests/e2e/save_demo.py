"""Saves the demo's account, as its calls left it and no guard has looked yet, for the sample report of the docs.

`python tests/e2e/save_demo.py` writes tests/audit/demo/ anew, with the AWS CLI; that is needed only when the demo changes.
The answers are saved as people are told to save them (`eks-sg-guard audit --commands`). tests/audit/sample.rs makes the
report of them and compares it with the docs.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from demo import calls
from emulator import REGION, Emulator
from lambda_runtime import bootstrap
from world import World

ROOT = Path(__file__).resolve().parents[2]
SAVED = ROOT / "tests" / "audit" / "demo"
PROGRAM = bootstrap().with_name("eks-sg-guard")


def save(emulator: Emulator, folder: Path) -> None:
    commands = subprocess.run([PROGRAM, "audit", "--commands"], check=True, capture_output=True, text=True).stdout
    environment = os.environ | {
        "AWS_ENDPOINT_URL": emulator.url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "emulated", "AWS_CONFIG_FILE": "/nonexistent",
    }
    # As people do: a call that is not answered leaves an empty file, and the rest goes on.
    subprocess.run(["sh"], input=commands, check=True, text=True, cwd=folder, env=environment, stdout=sys.stderr)


def main() -> int:
    if shutil.which("aws") is None:
        print("error: the AWS CLI is not there, and its answers are what is saved", file=sys.stderr)
        return 1
    emulator = Emulator()
    try:
        world = World.seed(emulator)
        for _ in calls(world):
            pass
        with tempfile.TemporaryDirectory() as made:
            save(emulator, Path(made))
            shutil.rmtree(SAVED, ignore_errors=True)
            SAVED.mkdir()
            for file in sorted(Path(made).iterdir()):
                if file.stat().st_size > 0:
                    (SAVED / file.name).write_text(json.dumps(json.loads(file.read_text()), indent=1) + "\n")
    finally:
        emulator.stop()
    print(f"saved to {SAVED.relative_to(ROOT)}; now: INSTA_UPDATE=always cargo test --test audit sample")
    return 0


if __name__ == "__main__":
    sys.exit(main())
