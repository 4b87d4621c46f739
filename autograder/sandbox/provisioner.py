"""Plain `nbgrader autograde` in the sandbox: kernels start inside bubblewrap.

    JUPYTER_DEFAULT_PROVISIONER_NAME=mnistdiff-sandbox nbgrader autograde project3

or, in nbgrader_config.py, `c.KernelProvisionerFactory.default_provisioner_name =
"mnistdiff-sandbox"`. Student code then has no network, none of your files and no secrets, and
memory, CPU time, processes and file sizes are limited. It does **not** protect the marks: under
nbgrader the hidden tests run in the student's own kernel, so the checks are mounted there, and a
student can read them or forge points. The limits also miss the total memory of several processes,
and files written beside the kernel's sockets. `autograder grade` has none of these gaps.
"""

import dataclasses
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from autograder.inside.namespaces import WHOLE_PROC, Limits
from autograder.sandbox.bubblewrap import OPT, PACKAGE, command
from autograder.sandbox.process import FIRST_UID

LIMITS = Limits(memory=6 << 30)  # includes torch's libraries, which no fork server has loaded
SOCKETS, FILE = "/opt/kernel", "/opt/kernel.json"  # paths inside the sandbox
LONGEST = 80  # characters of a folder: a socket's whole path may have 108


class SandboxProvisioner(LocalProvisioner):
    """A provisioner that starts kernels in a sandbox, with their sockets in one shared folder."""

    folder: Path | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Put sockets and connection file into a new folder, and wrap the command."""
        manager: Any = self.parent
        uid = FIRST_UID + os.getpid() % 1_000_000
        if self.folder is None:  # otherwise the kernel restarts
            short = len(tempfile.gettempdir()) < LONGEST
            self.folder = Path(tempfile.mkdtemp(prefix="kernel-", dir=None if short else "/tmp"))
            self.sockets.mkdir()
            manager.transport, manager.ip = "ipc", str(self.sockets / "ipc")
            manager.connection_file = str(self.folder / "kernel.json")
        # bubblewrap does not pass signals on, so interrupt by message.
        self.kernel_spec.interrupt_mode = "message"
        kwargs = await super().pre_launch(**kwargs)
        info = json.loads(Path(manager.connection_file).read_text()) | {"ip": f"{SOCKETS}/ipc"}
        self.theirs.write_text(json.dumps(info))
        self.theirs.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(self.sockets, uid, uid)
            os.chown(self.theirs, uid, uid)
        program = [word.replace(manager.connection_file, FILE) for word in kwargs["cmd"][1:]]
        order = json.dumps({"uid": uid, "limits": dataclasses.asdict(LIMITS)})
        inner = [sys.executable, "-m", "inside.launch", order, sys.executable, *program]
        kwargs["cmd"] = command(inner, self._mounts())
        return kwargs

    @property
    def sockets(self) -> Path:
        """The only folder of the host that student code can write to."""
        assert self.folder is not None
        return self.folder / "sockets"

    @property
    def theirs(self) -> Path:
        """The connection file with the paths inside the sandbox."""
        assert self.folder is not None
        return self.folder / "inside.json"

    def _mounts(self) -> list[str]:
        """Return the mounts that only nbgrader needs: sockets, and the checks."""
        return [
            *("--bind", "/proc", WHOLE_PROC),
            *("--bind", str(self.sockets), SOCKETS),
            *("--ro-bind", str(self.theirs), FILE),
            *("--ro-bind", str(PACKAGE), f"{OPT}/autograder"),
        ]

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Launch without any environment variables, even for bubblewrap."""
        kwargs["env"] = {}
        return await super().launch_kernel(cmd, **kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder, unless the kernel restarts."""
        await super().cleanup(restart)
        if self.folder and not restart:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None
