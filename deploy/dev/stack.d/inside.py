"""Becomes a service: called in name spaces of its own, it lays out the file system and turns into the
command. Its argument is what `machine.py` wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path


def run(*command):
    subprocess.run(command, check=True)


def bind(source, target, writable):
    target = Path(target)
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    run("mount", "--bind", str(source), str(target))
    if not writable:
        run("mount", "-o", "remount,bind,ro", str(target))


def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    run("mount", "--make-rprivate", "/")
    folder = Path(plan["folder"])
    root = folder / "root"
    # The upper layer is memory: what a service writes outside its volumes is gone with it.
    layers = f"lowerdir={plan['image']},upperdir={folder / 'layer/upper'},workdir={folder / 'layer/work'}"
    run("mount", "-t", "overlay", "overlay", "-o", layers, str(root))
    for source, target, writable in plan["mounts"]:
        bind(source, f"{root}{target}", writable)
    if plan["read_only"]:
        run("mount", "-o", "remount,ro", str(root))
    run("mount", "-t", "proc", "proc", f"{root}/proc")
    run("mount", "--rbind", "/dev", f"{root}/dev")
    run("hostname", plan["name"])
    for name, value in plan["sysctls"].items():
        Path("/proc/sys", *name.split(".")).write_text(str(value))
    os.chroot(root)
    os.chdir(plan["workdir"])
    os.umask(0o022)
    command = plan["command"]
    if plan["user"] is not None or not plan["capabilities"]:
        become = ["setpriv", "--no-new-privs"]
        if plan["user"] is not None:
            user = str(plan["user"])
            become += ["--reuid", user, "--regid", user, "--clear-groups"]
        if not plan["capabilities"]:
            become += ["--bounding-set", "-all", "--inh-caps", "-all"]
        command = become + command
    os.environ.clear()
    os.environ.update(plan["environment"])
    os.execvp(command[0], command)


main()
