"""The wheel: what is in it, every Python that is found, and its types."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import flashstrike_wal as fs
from support import HERE, ROOT

PACKAGE = ROOT / "python"
WHEEL = next(Path(os.environ["FLASHSTRIKE_WHEELS"]).glob("*.whl"))
ASK = "import sys; print(*sys.version_info[:2], sys.implementation.name)"
LICENCES = ("LICENSE", "THIRD_PARTY_LICENSES.md")
#: The oldest is met with the oldest numpy that the package allows.
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]


def interpreter(version):
    """Path of a working Python of this version, or None."""
    folders = os.environ["PATH"].split(os.pathsep) + ["/usr/bin", "/usr/local/bin"]
    folders += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin"))
    for folder in folders:
        path = Path(folder, f"python{version}")
        if not os.access(path, os.X_OK):
            continue
        said = subprocess.run([path, "-c", ASK], capture_output=True, text=True, check=False)
        if said.stdout.split() == [*version.split("."), "cpython"]:
            return path
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clean_venv(tmp_path, version):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    venv = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    oldest = ["numpy==2.0.*"] if version == VERSIONS[0] else []
    subprocess.run([sys.executable, "-m", "pip", "--python", venv, "install", "--quiet",
                    "--disable-pip-version-check", WHEEL, *oldest], check=True)
    # No compiler, and nothing of this repository.
    clean = {"PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [venv, "-I", "-W", "error", HERE / "package_smoke.py", tmp_path / "wal"],
        capture_output=True, text=True, env=clean, cwd=tmp_path, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")


def test_what_is_in_the_wheel():
    assert WHEEL.name == f"flashstrike_wal-{fs.__version__}-py3-none-manylinux_2_34_x86_64.whl"
    with zipfile.ZipFile(WHEEL) as wheel:
        names = {name for name in wheel.namelist() if "dist-info" not in name}
        for name in LICENCES:
            assert wheel.read(f"flashstrike_wal/{name}") == (ROOT / name).read_bytes()
    sources = {f"flashstrike_wal/{path.name}"
               for path in (PACKAGE / "src/flashstrike_wal").iterdir() if path.is_file()}
    made = {"libflashstrike_wal.so", "libflashstrike_wal_python.so", *LICENCES}
    assert names == sources | {f"flashstrike_wal/{name}" for name in made}
    cargo = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)
    assert fs.__version__ == cargo[1] == fs.library_version()


def test_every_public_name_is_documented():
    for name in fs.__all__:
        thing = getattr(fs, name)
        if callable(thing):
            assert thing.__doc__, name
            for part, member in vars(thing).items() if isinstance(thing, type) else ():
                if callable(member) and not part.startswith("_"):
                    assert member.__doc__ or part in ("readable", "writable", "close"), (name, part)


LOAD = "import flashstrike_wal"


@pytest.mark.parametrize("library, words", [
    ("/nowhere.so", "is not the library"), ("/bin/true", "is not the library"),
])
def test_another_library_is_refused(library, words):
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True,
                          env={**os.environ, "FLASHSTRIKE_WAL_LIB": library}, check=False)
    assert done.returncode == 1 and "ImportError" in done.stderr and words in done.stderr


@pytest.fixture(scope="module")
def types(tmp_path_factory):
    """What mypy has understood of numpy: the second run is quick."""
    return tmp_path_factory.mktemp("mypy")


def test_mypy(types):
    done = subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", types], cwd=PACKAGE,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


WRONG = """
import flashstrike_wal as fs
log = fs.Log("wal", num_blocks="16")
log = fs.Log("wal", number_of_blocks=16)
log = fs.Log(5)
log.wait_durable(1.5)
fs.read("wal", columns=None).num_events
fs.read("wal", columns=["price"]).shape
fs.Log("wal", sync_mode="sometimes")
fs.Log("wal", log=lambda text: None)
"""


def test_types_are_wrong_where_they_are(tmp_path, types):
    source = tmp_path / "wrong.py"
    source.write_text(WRONG)
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", types,
                           source], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert lines == set(range(3, WRONG.count("\n") + 1)), done.stdout


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright():
    done = subprocess.run(["pyright", "--pythonpath", sys.executable], cwd=PACKAGE,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
