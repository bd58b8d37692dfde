"""The stop button: report and back in seconds, without a build and without an update of the stack.

Owns: one variable of the function. Must not: make a stack enforce that was not deployed so; its role could not anyway.
"""

from __future__ import annotations

from .aws import Refusal, Say, Stack, code

MODE = "GUARD_MODE"


def stop(stack: Stack, say: Say) -> None:
    """From now on nothing is changed any more; it goes on looking and notifying."""
    if not _set(stack, "report"):
        say(f"`{stack.function}` only reports already; nothing was changed.")
        return
    say(f"Stopped: `{stack.function}` changes nothing any more, and goes on looking and notifying.")
    say(f"What runs now ends as it began, within {stack.parameters.get('Timeout', '60')} seconds.")
    say(
        f"The stack still says GuardMode={stack.parameters['GuardMode']}: the function drifts from it."
        f" `make start STACK={stack.name}` mends that, and so does a deployment that changes the function, such as one of a"
        " new version: it enforces again then. To stay with report, deploy with GuardMode=report."
    )


def start(stack: Stack, say: Say) -> None:
    """Undoes `stop`."""
    deployed = stack.parameters["GuardMode"]
    if deployed != "enforce":
        raise Refusal(
            f"stack `{stack.name}` was deployed with GuardMode={deployed}, and `start` only undoes `stop`: its role has no"
            f" right to revoke. Deploy it to enforce: make deploy STACK={stack.name} SET=GuardMode=enforce"
        )
    if _set(stack, deployed):
        say(f"Started: `{stack.function}` enforces again, as its stack says. Nothing drifts any more.")
    else:
        say(f"`{stack.function}` enforces already; nothing was changed.")


def _set(stack: Stack, mode: str) -> bool:
    """Whether the mode was another one before."""
    functions = stack.client("lambda")
    configuration = stack.configuration()
    variables = stack.variables(configuration)
    if variables.get(MODE) == mode:
        return False
    try:
        # All variables are replaced, so nobody may have changed another one meanwhile.
        functions.update_function_configuration(
            FunctionName=stack.function,
            Environment={"Variables": {**variables, MODE: mode}},
            RevisionId=configuration["RevisionId"],
        )
    except Exception as error:
        if code(error) not in ("PreconditionFailedException", "ResourceConflictException"):
            raise
        raise Refusal(f"somebody else is changing `{stack.function}` right now; try again") from error
    functions.get_waiter("function_updated").wait(FunctionName=stack.function, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return True
