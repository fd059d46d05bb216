"""Runs Python lines in two processes on the CPU, as torchrun starts them."""

import os
import subprocess
import sys
from pathlib import Path


def run_in_two(code: str, folder: Path) -> None:
    """Runs `code` in two processes; `FOLDER` in it is `folder`."""
    script = folder / "script.py"
    script.write_text(f"from pathlib import Path\nFOLDER = Path({str(folder)!r})\n{code}")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
            str(script),
        ],
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
