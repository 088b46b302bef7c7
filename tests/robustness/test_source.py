"""The program's own source: nothing that executes what a file holds. Ruff's S rules do the rest."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("baseline", "compress", "export")
               for path in (ROOT / folder).rglob("*.py"))  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load",
         "yaml.unsafe_load", "yaml.full_load", "pickle.load", "pickle.loads", "marshal.loads",
         "np.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle",
         "keras.models.load_model", "keras.config.enable_unsafe_deserialization"}  # fmt: skip
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
SAFE_IF = {"np.load": ("allow_pickle", False), "keras.models.load_model": ("safe_mode", True)}
NEVER = {("shell", True), ("allow_pickle", True), ("safe_mode", False), ("verify", False)}


def faults(source: str) -> list[str]:
    """What a source file does that it must not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = [module] if module else [name.name for name in node.names]
            found += [f"imports {name}" for name in names if name.split(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {
                (k.arg, k.value.value) for k in node.keywords if isinstance(k.value, ast.Constant)
            }
            if name in CALLS and SAFE_IF.get(name) not in given:
                found.append(f"calls {name}")
            found += [f"gives {key}={value}" for key, value in sorted(given & NEVER)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_executes_what_a_file_holds(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["eval(text)", "import pickle", "from pickle import load", "yaml.load(text)", "np.load(path)",
     "np.load(path, allow_pickle=True)", "subprocess.run(command, shell=True)", "os.system(text)",
     "keras.models.load_model(path)", "keras.models.load_model(path, safe_mode=False)"],
)  # fmt: skip
def test_what_would_be_is_found(source):
    assert faults(source)
