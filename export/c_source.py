"""A TFLite file as C source for TensorFlow Lite for Microcontrollers: `model.h` and `model.c`.

C99 and C++11; docs/microcontroller.md shows an application.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from baseline.contract import OUTPUTS
from export.arena import Arena, find_arena
from export.ends import End, read_ends
from export.tflm import Used, used_operators

if TYPE_CHECKING:
    from export.bundle import Metadata

HEADER_FILE = "model.h"
SOURCE_FILE = "model.c"

BYTES_PER_LINE = 16
WIDTH = 96


def c_source(content: bytes, metadata: Metadata) -> dict[str, str]:
    """Header and source of a TFLite file, by file name.

    The source holds the file byte for byte. The header says what an application has to know:
    memory, operators, quantization, and all that the metadata say.

    Args:
        content: the file.
        metadata: of the bundle it is in.

    Raises:
        InputError: TFLite Micro cannot run the file.
    """
    operators = used_operators(content)
    header = _header(metadata, operators, find_arena(content), *read_ends(content))
    return {HEADER_FILE: header, SOURCE_FILE: _source(content, metadata)}


def _source(content: bytes, metadata: Metadata) -> str:
    lines = ",\n".join(
        "  " + ", ".join(f"0x{byte:02x}" for byte in content[i : i + BYTES_PER_LINE])
        for i in range(0, len(content), BYTES_PER_LINE)
    )
    return f"""{_comment(f"{metadata.name}: see {HEADER_FILE}.")}
#include "{HEADER_FILE}"

/* The interpreter reads the constants where they lie, and wants them at multiples of 16 bytes. */
#if defined(__cplusplus)
#define EQT_ALIGNED alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define EQT_ALIGNED _Alignas(16)
#elif defined(__GNUC__) || defined(__clang__) || defined(__ICCARM__) || defined(__ARMCC_VERSION)
#define EQT_ALIGNED __attribute__((aligned(16)))
#else
#error "Say here how this compiler aligns an object to 16 bytes, or compile as C11."
#endif

EQT_ALIGNED const unsigned char eqt_model[EQT_MODEL_BYTES] = {{
{lines}
}};
"""


def _header(
    metadata: Metadata, operators: tuple[Used, ...], arena: Arena, source: End, result: End
) -> str:
    about = f"""{metadata.name}: detects earthquakes and picks P and S arrivals in 60 s of \
three-component seismograms. An int8 TFLite model for TensorFlow Lite for Microcontrollers.

Licence: {metadata.licence}
Please cite: {metadata.citation}"""
    adds = " \\\n".join(f"    (resolver).{name}();" for name in _methods(operators))
    return f"""{_comment(about)}
#ifndef EQT_MODEL_H
#define EQT_MODEL_H

#ifdef __cplusplus
extern "C" {{
#endif

/* The flatbuffer, at a multiple of 16 bytes, and the SHA-256 of its bytes. */
#define EQT_MODEL_BYTES {metadata.bytes}
#define EQT_MODEL_SHA256 "{metadata.sha256}"
extern const unsigned char eqt_model[EQT_MODEL_BYTES];

{_comment(_about_arena(arena))}
#define EQT_ARENA_BYTES {arena.bytes}

{_comment(_about_operators(operators))}
#define EQT_OPERATORS {len(_methods(operators))}
#define EQT_ADD_OPERATORS(resolver) \\
  do {{ \\
{adds} \\
  }} while (0)

{_comment(_about_input(metadata, source))}
{_end("INPUT", source)}
#define EQT_SAMPLING_RATE_HZ {_number(metadata.sampling_rate_hz)}
#define EQT_COMPONENT_ORDER "{metadata.component_order}"

{_comment(_about_output(result))}
{_end("OUTPUT", result)}
{_defines((f"EQT_OUTPUT_{name.upper()}", str(i)) for i, name in enumerate(metadata.output_order))}

/* Probabilities from which on something counts as found. */
{_defines((f"EQT_THRESHOLD_{k.upper()}", f"{_number(v)}f") for k, v in metadata.thresholds.items())}

#ifdef __cplusplus
}}
#endif

#endif
"""


def _methods(operators: tuple[Used, ...]) -> list[str]:
    """An operator of two versions is added once."""
    return sorted({operator.method for operator in operators})


def _about_arena(arena: Arena) -> str:
    how = (
        "measured with TFLite Micro's interpreter on a machine of 64 bits, with its reference "
        "kernels. Addresses of 32 bits make it smaller; "
        if arena.measured
        else "an estimate for a machine of 64 bits: tensors placed as TFLite Micro's greedy "
        "planner places them, and what its reference kernels are known to keep. Nothing was run; "
    )
    return (
        f"The tensor arena, in bytes: {arena.tensors} for tensors and {arena.persistent} for what "
        f"the interpreter notes of them, {how}kernels made for a processor (CMSIS-NN, ESP-NN) may "
        "ask for scratch memory beyond it."
    )


def _about_operators(operators: tuple[Used, ...]) -> str:
    listed = "\n".join(
        f"  {one.kind}, version {one.version}: {one.number}"
        + (f" ({one.floats} in float32)" if one.floats else "")
        for one in operators
    )
    return f"""Operators, and how often they are used:
{listed}
They are added by
  static tflite::MicroMutableOpResolver<EQT_OPERATORS> resolver;
  EQT_ADD_OPERATORS(resolver);"""


def _about_input(metadata: Metadata, end: End) -> str:
    components = ", ".join(metadata.component_order)
    given = (
        "int8, and a number x is the integer round(x / scale) + zero point, cut to -128 to 127"
        if end.integer
        else "float32: the model converts to int8 itself, which takes four times the memory"
    )
    return (
        f"Input: {end.shape[1]} samples at {metadata.sampling_rate_hz:g} Hz, one after the other, "
        f"each of components {components}; {metadata.normalisation}. It is {given}."
    )


def _about_output(end: End) -> str:
    made = (
        "int8, and an integer q is the probability (q - zero point) * scale"
        if end.integer
        else "float32: the model converts from int8 itself"
    )
    return f"Output: for each sample the probabilities of {', '.join(OUTPUTS)}. It is {made}."


def _end(name: str, end: End) -> str:
    """What the preprocessor has to know; without scales for floats, so that none can be used."""
    values = {
        f"EQT_{name}_SAMPLES": str(end.shape[1]),
        f"EQT_{name}_CHANNELS": str(end.shape[2]),
        f"EQT_{name}_IS_INT8": str(int(end.integer)),
    }
    if end.integer:
        values[f"EQT_{name}_SCALE"] = f"{_number(end.scale)}f"
        values[f"EQT_{name}_ZERO_POINT"] = f"({end.zero_point})"
    return _defines(iter(values.items()))


def _defines(values: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"#define {name} {value}" for name, value in values)


def _number(value: float) -> str:
    """A float32 in decimal digits that give it back."""
    text = str(np.float32(value))
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def _comment(text: str) -> str:
    """A comment in C that ends where it should, whatever it says."""
    safe = text.replace("*/", "* /").replace("/*", "/ *")
    lines = [
        part
        for line in safe.splitlines()
        for part in textwrap.wrap(line, WIDTH, drop_whitespace=True) or [""]
    ]
    return "/* " + "\n * ".join(lines).replace(" \n", "\n") + " */"
