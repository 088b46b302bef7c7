"""C source: compilers take it, its bytes are the file's, and its numbers the interpreter's."""

import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from baseline.errors import InputError
from export.bundle import add_reference, read_bundle, write_bundle
from export.ends import read_ends
from export.tflm import METHODS, OPERATORS, Used, used_operators
from export.writers.flatbuffer import edit
from export.writers.passes.integer_ends import drop_float_ends

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"
FLAGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
COMPILERS = {
    "C99": ("gcc", "-std=c99", "-x", "c"),
    "C11": ("gcc", "-std=c11", "-x", "c"),
    "C++11": ("g++", "-std=c++11", "-x", "c++"),
}
BYTES = """\
#include <stdint.h>
#include <stdio.h>
#include "model.h"

int main(void) {
  unsigned long i;
  printf("%u %.9g %d %.9g %d %d %d\\n", (unsigned)((uintptr_t)eqt_model % 16),
         EQT_INPUT_SCALE, EQT_INPUT_ZERO_POINT, EQT_OUTPUT_SCALE, EQT_OUTPUT_ZERO_POINT,
         EQT_INPUT_SAMPLES * EQT_INPUT_CHANNELS, EQT_ARENA_BYTES);
  printf("%.9g %.9g %.9g %d %d %d\\n", EQT_THRESHOLD_DETECTION, EQT_THRESHOLD_P, EQT_THRESHOLD_S,
         EQT_OUTPUT_DETECTION, EQT_OUTPUT_P, EQT_OUTPUT_S);
  for (i = 0; i < EQT_MODEL_BYTES; i++) printf("%02x", eqt_model[i]);
  return 0;
}
"""
RESOLVER = """\
#include <cstdio>
#include "model.h"

template <unsigned most> struct Resolver {
  unsigned number = 0;
  void add(const char *name) { ++number; std::printf("%s ", name); }
METHODS
};

int main() {
  Resolver<EQT_OPERATORS> resolver;
  EQT_ADD_OPERATORS(resolver);
  std::printf("%d %02x", resolver.number == EQT_OPERATORS, eqt_model[4]);
  return 0;
}
"""


def bundle(folder, name="student-small-tflite-int8", integer_ends=True, **changes):
    """A released student's bundle with C source."""
    metadata, model = read_bundle(RELEASED / name)
    content = model.read_bytes()
    copy = folder.with_suffix(".tflite")
    copy.write_bytes(edit(content, drop_float_ends) if integer_ends else content)
    write_bundle(folder, copy, metadata.given() | {"c_source": True, **changes}, metadata.name)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("source") / "bundle")


def needs(compiler):
    if which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")


def compiled(command, folder, out, name):
    """Object file of one of the folder's or of `out`'s sources."""
    needs(command[0])
    source = folder / name if (folder / name).is_file() else out / name
    target = out / f"{name}.o"
    subprocess.run(
        [*command, *FLAGS, f"-I{folder}", "-c", str(source), "-o", str(target)], check=True
    )
    return target


def run(linker, objects, out):
    program = out / "program"
    subprocess.run([linker, *map(str, objects), "-o", str(program)], check=True)
    return subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("language", COMPILERS)
def test_compiled_numbers_and_bytes_are_the_models(language, folder, tmp_path):
    command = COMPILERS[language]
    (tmp_path / "main.c").write_text(BYTES)
    objects = [compiled(command, folder, tmp_path, name) for name in ("model.c", "main.c")]
    numbers, thresholds, content = run(command[0], objects, tmp_path).splitlines()
    metadata, model = read_bundle(folder)
    assert bytes.fromhex(content) == model.read_bytes()
    interpreter = Interpreter(str(model))
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    alignment, *ends, samples, arena = numbers.split()
    assert int(alignment) == 0
    assert (np.float32(ends[0]), int(ends[1])) == source["quantization"]
    assert (np.float32(ends[2]), int(ends[3])) == result["quantization"]
    assert int(samples) == np.prod(source["shape"])
    assert 40_000 < int(arena) < 60_000
    expected = [np.float32(metadata.thresholds[name]) for name in metadata.output_order]
    assert [np.float32(number) for number in thresholds.split()[:3]] == expected
    assert thresholds.split()[3:] == ["0", "1", "2"]


def test_cpp_application_links_c_and_adds_just_the_operators_it_needs(folder, tmp_path):
    known = {Used(kind, 1, 1, 0).method for kind in OPERATORS}
    methods = "\n".join(f'  void {name}() {{ add("{name}"); }}' for name in sorted(known))
    (tmp_path / "main.cpp").write_text(RESOLVER.replace("METHODS", methods))
    objects = [
        compiled(COMPILERS["C99"], folder, tmp_path, "model.c"),
        compiled(("g++", "-std=c++11"), folder, tmp_path, "main.cpp"),
    ]
    *added, all_added, first = run("g++", objects, tmp_path).split()
    assert added == ["AddAdd", "AddConv2D", "AddDepthwiseConv2D", "AddLogistic", "AddReshape"]
    assert (all_added, first) == ("1", "54")  # TFL3 begins at the fifth byte


def test_header_says_what_an_application_has_to_know(folder):
    text = " ".join((folder / "model.h").read_text().replace("\n * ", " ").split())
    metadata, _ = read_bundle(folder)
    for said in (
        metadata.sha256,
        "CONV_2D, version 3: 13",
        "100 Hz",
        "components E, N, Z",
        metadata.normalisation,
        "probabilities of detection, p, s",
        "Licence: MIT",
        "Earthquake transformer",
    ):
        assert said in text
    measured = "measured with TFLite Micro's interpreter" in text
    assert measured != ("an estimate for a machine of 64 bits" in text)


def test_float_ends_are_said_and_have_no_scale(tmp_path):
    folder = bundle(tmp_path / "bundle", integer_ends=False)
    text = (folder / "model.h").read_text()
    assert "It is float32: the model converts to" in text.replace("\n * ", " ")
    assert "#define EQT_INPUT_IS_INT8 0" in text
    assert "SCALE" not in text
    assert "(resolver).AddQuantize();" in text
    compiled(COMPILERS["C99"], folder, tmp_path, "model.c")


def test_text_from_elsewhere_ends_no_comment(tmp_path):
    hostile = "*/ int injected; /* /*/ */\n#error \\\n no"
    folder = bundle(tmp_path / "bundle", licence=hostile, citation=hostile)
    compiled(COMPILERS["C99"], folder, tmp_path, "model.c")


def test_source_is_written_anew_with_the_bundle(tmp_path, windows):
    folder = bundle(tmp_path / "bundle")
    metadata, model = read_bundle(folder)
    changed = metadata.given() | {"thresholds": {"detection": 0.5, "p": 0.25, "s": 0.125}}
    write_bundle(folder, model, changed, metadata.name)
    assert "#define EQT_THRESHOLD_S 0.125f" in (folder / "model.h").read_text()
    source = (folder / "model.c").read_text()
    add_reference(folder, windows[:1])
    assert (folder / "model.c").read_text() == source
    assert "`model.h` and `model.c`" in (folder / "README.md").read_text()


def test_operator_that_tflite_micro_lacks_is_refused(tmp_path):
    def exchange(model):
        for code in model.operatorCodes:
            if max(code.builtinCode, code.deprecatedBuiltinCode) == logistic:
                code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.GELU, 127

    logistic = schema.BuiltinOperator.LOGISTIC
    _, model = read_bundle(RELEASED / "student-tflite-int8")
    with pytest.raises(InputError, match="TFLite Micro has no GELU"):
        used_operators(edit(model.read_bytes(), exchange))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("CONV_2D", "AddConv2D"),
        ("L2_POOL_2D", "AddL2Pool2D"),
        ("RELU6", "AddRelu6"),
        ("RESIZE_NEAREST_NEIGHBOR", "AddResizeNearestNeighbor"),
        ("REVERSE_V2", "AddReverseV2"),
        ("SPACE_TO_BATCH_ND", "AddSpaceToBatchNd"),
        *METHODS.items(),
    ],
)
def test_methods_are_called_as_in_tflite_micro(kind, method):
    assert kind in OPERATORS
    assert Used(kind, 1, 1, 0).method == method


def test_tflite_micro_answers_as_reference_kernels_do(folder, windows):
    runtime = pytest.importorskip("tflite_micro").runtime
    content = (folder / "model.tflite").read_bytes()
    source, _ = read_ends(content)
    micro = runtime.Interpreter.from_bytes(content, arena_size=2**20)
    reference = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    reference.allocate_tensors()
    for window in windows[:6]:
        scaled = np.rint(window / source.scale) + source.zero_point
        fed = np.clip(scaled, -128, 127).astype(np.int8)[None]
        micro.set_input(fed, 0)
        micro.invoke()
        reference.set_tensor(reference.get_input_details()[0]["index"], fed)
        reference.invoke()
        expected = reference.get_tensor(reference.get_output_details()[0]["index"])
        np.testing.assert_array_equal(micro.get_output(0), expected)
