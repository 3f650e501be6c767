"""Checks deploy/kubernetes: each resource against Kubernetes' own schemas (PyPI's kubernetes-validate),
KEDA's against keda.schema.json, and what one resource says of another. Called by deploy/dev/deployment."""

import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
# PodDisruptionBudget.unhealthyPodEvictionPolicy is there from 1.27 on.
VERSIONS = ["1.28", "1.31", "1.34"]

problems = []


def holds(fact, problem):
    if not fact:
        problems.append(problem)


def validate(file, resource, version):
    where = f"{file.name} {resource['kind']} {resource['metadata']['name']}"
    try:
        if resource["apiVersion"].startswith("keda.sh/"):
            jsonschema.validate(resource, json.loads((ROOT / "deploy/dev/keda.schema.json").read_text()))
        else:
            kubernetes_validate.validate(resource, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        message = getattr(error, "message", str(error))
        problems.append(f"{where} ({version}): {message}")


resources = []
for file in sorted(FOLDER.glob("*.yaml")):
    if file.name == "kustomization.yaml":
        continue
    for resource in yaml.safe_load_all(file.read_text()):
        resources.append(resource)
        for version in VERSIONS:
            validate(file, resource, version)


def of(kind):
    return {it["metadata"]["name"]: it for it in resources if it["kind"] == kind}


kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
files = {it.name for it in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
holds(set(kustomization["resources"]) == files, f"kustomization.yaml names {kustomization['resources']}, there are {sorted(files)}")

queues = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())["queues"]
work = [it["name"] for it in queues if it["name"].startswith("tollgate.work.")]
deployments, services, budgets = of("Deployment"), of("Service"), of("PodDisruptionBudget")
for name, deployment in deployments.items():
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    holds(deployment["spec"]["selector"]["matchLabels"] == labels, f"{name} selects other pods than its own")
    holds(budgets.get(name, {}).get("spec", {}).get("selector", {}).get("matchLabels") == labels, f"{name} has no disruption budget")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    holds({"livenessProbe", "readinessProbe"} <= set(container), f"{name} has no probes")
    holds("replicas" in deployment["spec"] or name == "tollgate-worker", f"{name} says no number")
for name, service in services.items():
    holds(service["spec"]["selector"] == deployments[name]["spec"]["template"]["metadata"]["labels"], f"the service {name} selects nothing")
for path in (path for ingress in of("Ingress").values() for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
    holds(path["backend"]["service"]["name"] in services, f"the ingress leads to {path['backend']}")
secrets, settings = of("Secret"), of("ConfigMap")
for name, workload in (deployments | of("Job")).items():
    [container] = workload["spec"]["template"]["spec"]["containers"]
    for source in container["envFrom"]:
        known = source.get("configMapRef", {}).get("name") in settings or source.get("secretRef", {}).get("name") in secrets
        holds(known, f"{name} takes its settings from {source}")
    security = container["securityContext"]
    holds(security["readOnlyRootFilesystem"] and security["capabilities"]["drop"] == ["ALL"], f"{name} may more than it must")
for name, scaled in of("ScaledObject").items():
    spec = scaled["spec"]
    target = spec["scaleTargetRef"]["name"]
    holds(target in deployments, f"{name} scales {target}")
    # Otherwise each `kubectl apply` would set back what KEDA has set.
    holds("replicas" not in deployments.get(target, {"spec": {"replicas": 1}})["spec"], f"{target} says how many it is, and KEDA too")
    holds(spec["minReplicaCount"] >= 1, f"{name} may leave no worker, and timers need one")
    for trigger in spec["triggers"]:
        if trigger["type"] == "rabbitmq":
            holds([trigger["metadata"]["queueName"]] == work, f"{name} looks at {trigger['metadata']['queueName']}, the queue is {work}")
            reference = of("TriggerAuthentication").get(trigger["authenticationRef"]["name"])
            holds(reference, f"{name} signs in with what does not exist")
            for it in reference["spec"]["secretTargetRef"] if reference else []:
                holds(it["key"] in secrets.get(it["name"], {}).get("stringData", {}), f"{name} needs the secret {it}")

for problem in problems:
    print(f"manifests: {problem}", file=sys.stderr)
if problems:
    sys.exit(1)
print(f"manifests: {len(resources)} resources are right for Kubernetes {', '.join(VERSIONS)} and KEDA")
