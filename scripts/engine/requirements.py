"""Prints what the wheels in argv[1] require and a CPU can use, with torch at version argv[2].

Left out: torch at its +cpu version (not on PyPI; the plain wheel works) and packages that only GPU code imports.
"""

import pathlib
import re
import sys
import zipfile

GPU_ONLY = {"cuda-python", "cufile-python", "google-cloud-bigtable"}
# Pinned below instead, to versions that resolve together.
OURS = {"torch", "torchcodec", "setuptools", "cupy-cuda13x"}


def requirements(wheel: pathlib.Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    found = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    return [line for line in found if "extra ==" not in line]


def package(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-")


folder, torch = pathlib.Path(sys.argv[1]), sys.argv[2]
wanted = [r for wheel in sorted(folder.glob("*.whl")) for r in requirements(wheel)]
for line in [r for r in wanted if package(r) not in GPU_ONLY | OURS]:
    print(line)
for line in [f"torch=={torch}", "torchcodec", "setuptools==78.1.1", "cupy-cuda13x"]:
    print(line)
