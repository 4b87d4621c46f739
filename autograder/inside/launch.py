"""Run one program, such as nbgrader's kernel, in its own namespaces with limits and no rights.

python -m inside.launch '{"uid": ..., "limits": {...}}' program argument ...
"""

import json
import os
import sys

from .fork_server import follow, forget_files
from .namespaces import Limits, die_with_parent, furnish, leave


def main() -> None:
    """Fork twice, as the fork server does, then execute the program."""
    order, program = json.loads(sys.argv[1]), sys.argv[2:]
    leave(order["uid"])
    if first := os.fork():
        follow(first)
    die_with_parent()
    furnish(Limits(**order["limits"]), jupyter=True)
    if kernel := os.fork():
        follow(kernel)
    forget_files()  # otherwise students could write to the grader's terminal
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
