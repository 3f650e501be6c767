"""What compose.yaml says, as Debian's docker-compose reads it."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml


class Wrong(Exception):
    """The file says something that cannot be run, or did not turn out as it should."""


@dataclass
class Health:
    command: list
    interval: float
    timeout: float
    retries: int
    start: float


@dataclass
class Service:
    name: str
    image: str
    command: list
    environment: dict
    # (source, target, writable); a source without a slash is a volume's name.
    mounts: list
    # Names of files in /run/secrets.
    secrets: list
    aliases: list
    # Service -> the condition it has to meet.
    after: dict
    health: Health | None
    read_only: bool
    capabilities: bool
    sysctls: dict
    restart: bool
    grace: float
    ports: list = field(default_factory=list)


def seconds(text):
    """A length of time such as 5s, 1m30s or 250ms."""
    total, number, units = 0.0, "", {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    text = str(text)
    while text:
        number = ""
        while text and (text[0].isdigit() or text[0] == "."):
            number, text = number + text[0], text[1:]
        unit = next((it for it in ("ms", "s", "m", "h") if text.startswith(it)), None)
        if not number or unit is None:
            raise Wrong(f"no length of time: {text}")
        total, text = total + float(number) * units[unit], text[len(unit):]
    return total


def load(file: Path, environment: dict):
    """The services, and the files of the secrets by their names."""
    told = subprocess.run(
        # The second version of docker-compose leaves out what belongs to profiles that are not named.
        ["docker-compose", "--profile", "monitoring", "-f", str(file), "config"],
        env=environment, capture_output=True, text=True, check=False,
    )
    if told.returncode != 0:
        raise Wrong(f"docker-compose refuses {file}: {told.stderr.strip()}")
    document = yaml.safe_load(told.stdout)
    services = {name: service(name, said) for name, said in document["services"].items()}
    for it in services.values():
        for other in it.after:
            if other not in services:
                raise Wrong(f"{it.name} waits for {other}, which does not exist")
    return services, {name: Path(it["file"]) for name, it in document["secrets"].items()}


def service(name, said):
    known = {
        "image", "command", "environment", "volumes", "secrets", "networks", "depends_on", "healthcheck",
        "read_only", "cap_drop", "cap_add", "security_opt", "restart", "stop_grace_period", "build",
        "hostname", "ports", "shm_size", "sysctls", "profiles",
    }
    said = {key: it for key, it in said.items() if it is not None}
    if unknown := set(said) - known:
        raise Wrong(f"{name} has {sorted(unknown)}, which means nothing here")
    if said.get("hostname", name) != name:
        raise Wrong(f"the host name of {name} is another")
    mounts = []
    for volume in said.get("volumes", []):
        if isinstance(volume, dict):
            mounts.append((volume["source"], volume["target"], not volume.get("read_only", False)))
        else:
            source, target, *mode = volume.split(":")
            mounts.append((source, target, mode[:1] != ["ro"]))
    networks = said.get("networks") or {}
    aliases = [alias for it in networks.values() if it for alias in it.get("aliases", [])]
    environment = {key: str(it) for key, it in said.get("environment", {}).items() if it is not None}
    # A dollar that is meant as one is written twice.
    command = [str(it).replace("$$", "$") for it in said.get("command") or []]
    return Service(
        name=name, image=said["image"], command=command, environment=environment, mounts=mounts,
        secrets=[it if isinstance(it, str) else it["source"] for it in said.get("secrets", [])],
        aliases=aliases, health=health(said.get("healthcheck")),
        after={other: it["condition"] for other, it in said.get("depends_on", {}).items()},
        read_only=said.get("read_only", False), capabilities="ALL" not in said.get("cap_drop", []),
        sysctls=said.get("sysctls", {}), restart=said.get("restart", "no") != "no",
        grace=seconds(said.get("stop_grace_period", "10s")), ports=said.get("ports", []),
    )


def health(said):
    if not said or said["test"] == ["NONE"]:
        return None
    kind, *command = said["test"]
    if kind != "CMD":
        raise Wrong(f"a check that is no CMD: {said['test']}")
    return Health(
        command=command, interval=seconds(said.get("interval", "30s")),
        timeout=seconds(said.get("timeout", "30s")), retries=int(said.get("retries", 3)),
        start=seconds(said.get("start_period", "0s")),
    )
