"""Holds the OpenAPI documents that a running stack serves against the public validator and the public fuzzer.

Both come from PyPI into a virtual environment below target/. The stack is a fresh `tasklane dev` on a free port;
its program must be built already. Ends with status 0 only if every document is valid, YAML and JSON say the same,
and the fuzzer finds no 5xx, no undocumented answer and no bad input that is accepted.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target"
# Where the requests of each document go, and the path below it that serves the document.
DOCUMENTS = {"/pro-api/v2": "/", "/pro/session-manager/v1": "/openapi.yaml"}


def tools() -> pathlib.Path:
    """The folder of the programs of an environment with exactly what requirements.txt names."""
    wanted = (HERE / "requirements.txt").read_text()
    environment = TARGET / "openapi"
    stamp = environment / "requirements.txt"
    programs = environment / "bin"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        install = [programs / "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
        subprocess.run(install, check=True)
        stamp.write_text(wanted)
    return programs


def get(url: str, key: str) -> bytes:
    request = urllib.request.Request(url, headers={"apiKey": key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def validate(programs: pathlib.Path, folder: pathlib.Path, stack: dict, mount: str, path: str) -> pathlib.Path:
    """Fetches a document in both forms, validates it, and gives the file of the JSON form."""
    name = mount.strip("/").replace("/", "-")
    files = []
    for form in ("json", "yaml"):
        file = folder / f"{name}.{form}"
        file.write_bytes(get(f"{stack['http']}{mount}{path}?format={form}", stack["api_key"]))
        files.append(file)
    same = "import json,sys,yaml; a,b=sys.argv[1:]; sys.exit(json.load(open(a)) != yaml.safe_load(open(b)))"
    if subprocess.run([programs / "python", "-c", same, *files]).returncode:
        sys.exit(f"{mount}: YAML and JSON differ")
    for file in files:
        if subprocess.run([programs / "openapi-spec-validator", file]).returncode:
            sys.exit(f"{mount}: the document is not valid")
    return files[0]


def fuzz(programs: pathlib.Path, file: pathlib.Path, stack: dict, mount: str, config: str, options) -> None:
    command = [programs / "schemathesis", "--config-file", HERE / config, "run", file]
    command += ["--url", stack["http"] + mount, "--header", f"apiKey: {stack['api_key']}"]
    # Every check is on unless the configuration says otherwise.
    command += ["--max-examples", str(options.examples), "--request-timeout", "60"]
    if options.seed is not None:
        command += ["--seed", str(options.seed)]
    if subprocess.run(command, cwd=file.parent).returncode:
        sys.exit(f"{mount}: the fuzzer found something with {config}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=TARGET / "debug" / "tasklane")
    parser.add_argument("--examples", type=int, default=100, help="requests per operation and run")
    parser.add_argument("--seed", type=int, help="repeats the run of this seed")
    parser.add_argument("--only-validate", action="store_true")
    options = parser.parse_args()
    programs = tools()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = [options.program, "dev", "--json", "--http", "127.0.0.1:0", "--data", folder / "data"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as dev:
            try:
                line = dev.stdout.readline()
                if not line:
                    sys.exit("the stack did not start")
                stack = json.loads(line)
                for mount, path in DOCUMENTS.items():
                    file = validate(programs, folder, stack, mount, path)
                    if not options.only_validate:
                        for config in ("random.toml", "names.toml"):
                            fuzz(programs, file, stack, mount, config, options)
            finally:
                dev.terminate()


if __name__ == "__main__":
    main()
