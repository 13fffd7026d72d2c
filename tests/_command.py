"""`dargmin` as a user runs it, in a process of its own; and within this one, where a fresh process would add nothing."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from harness import cli

Done = subprocess.CompletedProcess[str]


def dargmin(*arguments: str, cwd: Path | None = None) -> Done:
    command = [str(Path(sys.executable).with_name("dargmin")), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)


def within(*arguments: str) -> Done:
    """The same command without the process."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["dargmin", *arguments]), redirect_stdout(out), redirect_stderr(err):
        code = cli.answer()
    return Done(["dargmin", *arguments], code, out.getvalue(), err.getvalue())
