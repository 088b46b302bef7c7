"""The application of docs/microcontroller.md compiles, feeds the model rightly, and picks."""

import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from compress.data.windows import normalise
from compress.exporting import Product, export_model
from export.bundle import read_bundle
from export.convert import Int8, Precision
from export.ends import read_ends

ROOT = Path(__file__).parents[2]
TFLM = {
    "micro/micro_interpreter.h": """
struct TfLiteTensor { struct { int8_t *int8; } data; };
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
struct Model {};
template <unsigned most> struct MicroMutableOpResolver;
struct MicroInterpreter {
  template <class Resolver> MicroInterpreter(
      const Model *, const Resolver &resolver, uint8_t *arena, unsigned long size)
      : arena(arena), ready(resolver.full() && size >= 36000) {}
  TfLiteStatus AllocateTensors() { return ready ? kTfLiteOk : kTfLiteError; }
  TfLiteTensor *input(int) { tensor.data.int8 = reinterpret_cast<int8_t *>(arena); return &tensor; }
  TfLiteTensor *output(int) { return input(0); }
  TfLiteStatus Invoke() {
    int8_t *values = input(0)->data.int8;
    const int8_t first = values[0];
    for (int i = 0; i < 18000; i++) values[i] = -128;
    values[3 * 1234 + 1] = first > 0 ? 0 : -100;
    values[3 * 5000 + 2] = 127;
    return kTfLiteOk;
  }
  uint8_t *arena; bool ready; TfLiteTensor tensor;
};
}
""",
    "micro/micro_mutable_op_resolver.h": """
namespace tflite {
template <unsigned most> struct MicroMutableOpResolver {
  unsigned number = 0;
  bool full() const { return number == most; }
  void AddAdd() { number++; }
  void AddConv2D() { number++; }
  void AddDepthwiseConv2D() { number++; }
  void AddLogistic() { number++; }
  void AddReshape() { number++; }
};
}
""",
    "schema/schema_generated.h": """
namespace tflite {
inline const Model *GetModel(const void *) { return nullptr; }
}
""",
}
"""As much of TFLite Micro as the application touches. Its model finds P at sample 1234, more surely
where the first integer it is given is above zero."""

MAIN = """
#include <cstdio>
static int32_t counts[EQT_INPUT_SAMPLES * EQT_INPUT_CHANNELS];
static int8_t input[EQT_INPUT_SAMPLES * EQT_INPUT_CHANNELS];
int main(int, char **arguments) {
  std::FILE *file = std::fopen(arguments[1], "rb");
  const unsigned long number = sizeof(counts) / sizeof(counts[0]);
  if (file == nullptr || std::fread(counts, sizeof(counts[0]), number, file) != number) return 1;
  fill(counts, input);
  for (unsigned long i = 0; i < number; i++) std::printf("%d ", input[i]);
  std::printf("%d ", pick_p(counts));
  for (unsigned long i = 0; i < number; i++) counts[i] = -counts[i];
  std::printf("%d", pick_p(counts));
  return 0;
}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    from rich.progress import Progress

    folder = tmp_path_factory.mktemp("bundle") / "small"
    student = ROOT / "artifacts/released/student-small-tflite-int8"
    ends = Int8(integer_ends=True)
    export_model(
        str(student), Product.C, Precision.INT8, folder, None, Progress(disable=True), ends
    )
    return folder


def test_application_in_the_documentation_works(bundle, tmp_path):
    if which("g++") is None:
        pytest.skip("there is no g++ here")
    page = (ROOT / "docs/microcontroller.md").read_text()
    (example,) = (part.split("```")[0] for part in page.split("```cpp\n")[1:])
    for name, text in TFLM.items():
        header = tmp_path / "tensorflow/lite" / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(text)
    (tmp_path / "main.cpp").write_text(example + MAIN)
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    command += [f"-I{bundle}", f"-I{tmp_path}", "-o", str(tmp_path / "program")]
    sources = [str(tmp_path / "main.cpp"), "-x", "c++", str(bundle / "model.c")]
    subprocess.run([*command, *sources], check=True)

    counts = (1e5 * np.random.default_rng(0).normal(size=(6000, 3))).astype(np.int32)
    counts[:, 2] = 7  # a dead component
    counts[0, 0] = 10_000_000  # louder than an integer can say
    (tmp_path / "counts").write_bytes(counts.astype("<i4").tobytes())
    done = subprocess.run(
        [str(tmp_path / "program"), str(tmp_path / "counts")],
        check=True,
        capture_output=True,
        text=True,
    )
    *fed, found, unsure = map(int, done.stdout.split())
    source, _ = read_ends(read_bundle(bundle)[1].read_bytes())
    scaled = np.rint(normalise(counts.astype(np.float64)) / source.scale) + source.zero_point
    expected = np.clip(scaled, -128, 127).astype(int).ravel()
    # A number half-way between two integers may become either.
    assert np.abs(np.array(fed) - expected).max() <= 1
    assert np.mean(np.array(fed) == expected) > 0.999
    assert (found, unsure) == (1234, -1)
