"""The commands, as the Makefile calls them."""

from __future__ import annotations

import argparse
import subprocess
import sys

from . import aws, demo, deploy, live, mode, package, redrive, remove, status


def parser() -> argparse.ArgumentParser:
    commands = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    each = commands.add_subparsers(dest="command", required=True)
    each.add_parser("package").add_argument("arch")
    for name in ("deploy", "stop", "start", "status", "logs", "redrive", "remove", "demo", "live"):
        made = each.add_parser(name)
        made.add_argument("--stack", required=True)
        match name:
            case "deploy":
                made.add_argument("--arch", required=True)
                made.add_argument("--set", nargs="*", default=[], metavar="PARAMETER=VALUE")
            case "logs":
                made.add_argument("--hours", type=float, default=1)
                made.add_argument("--all", action="store_true")
            case "redrive":
                made.add_argument("--url", help="another queue than the stack's own")
            case "demo":
                made.add_argument("--group", help="that the first step made")
                made.add_argument("--vpc")
                made.add_argument("--cluster")
    return commands


def parameters(pairs: list[str]) -> dict[str, str]:
    """`GuardMode=enforce`, as often as one likes."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isalnum():
            raise aws.Refusal(f"`{pair}` is no parameter; expected NAME=VALUE such as GuardMode=enforce")
        found[name] = value
    return found


def run(given: argparse.Namespace, client: aws.Clients | None = None) -> int:
    """The exit code."""
    if given.command == "package":
        package.package(given.arch, print)
        return 0
    client = client or aws.clients()
    stack = aws.Stack(given.stack, client)
    match given.command:
        case "deploy":
            deploy.deploy(stack, given.arch, parameters(given.set), print, client)
        case "stop":
            mode.stop(stack, print)
        case "start":
            mode.start(stack, print)
        case "status":
            status.status(stack, print)
        case "logs":
            status.logs(stack, print, given.hours, given.all)
        case "redrive":
            return 1 if redrive.redrive(stack, print, given.url).failures else 0
        case "remove":
            remove.remove(stack, print, input)
        case "live":
            live.live_check(live.Walk(stack, aws.clients(tls=False), print, input), package.ROOT)
        case "demo" if given.group:
            return 0 if demo.play(stack, print, given.group) else 1
        case "demo" if given.vpc and given.cluster:
            demo.make(stack, print, given.vpc, given.cluster)
        case "demo":
            raise aws.Refusal("first VPC=vpc-… CLUSTER=NAME, which make the group, then GROUP=sg-…, which plays")
    return 0


def main() -> int:
    try:
        return run(parser().parse_args())
    except aws.Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"error: `{error.cmd[0]}` ended with {error.returncode}", file=sys.stderr)
    except (KeyboardInterrupt, EOFError):
        print("error: ended by hand; nothing more is done", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
