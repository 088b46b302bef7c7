"""What is changed in a TFLite file after its conversion."""

import flatbuffers
import numpy as np
import pytest
import small_models
from ai_edge_litert import schema_py_generated as schema

from export.convert import Int8
from export.writers.flatbuffer import BUFFER_ALIGNMENT, edit
from export.writers.passes.buffers import share_buffers
from export.writers.passes.names import drop_inner_names
from export.writers.tflite import PASSES, Quantizable, write_tflite


def tensor(name, buffer):
    made = schema.TensorT()
    made.name, made.buffer, made.shape = name, buffer, [2]
    return made


def buffer(content=None):
    made = schema.BufferT()
    made.data = None if content is None else np.frombuffer(content, np.uint8)
    return made


@pytest.fixture
def flatbuffer():
    """A graph of an input, a constant, a tensor computed, the constant again, and an output."""
    graph = schema.SubGraphT()
    graph.tensors = [tensor(name.encode(), i + 1) for i, name in enumerate("wcxdy")]
    graph.inputs, graph.outputs, graph.operators = [0], [4], []
    note = schema.MetadataT()
    note.name, note.buffer = b"note", 6
    model = schema.ModelT()
    model.version, model.subgraphs, model.metadata, model.operatorCodes = 3, [graph], [note], []
    same = b"12345678"
    contents = (None, None, same, None, same, None, b"noted")
    model.buffers = [buffer(content) for content in contents]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(content):
    return schema.ModelT.InitFromPackedBuf(content, 0)


def test_constants_are_stored_once(flatbuffer):
    model = unpack(edit(flatbuffer, share_buffers))
    assert [t.buffer for t in model.subgraphs[0].tensors] == [0, 1, 0, 1, 0]
    assert model.buffers[0].data is None
    assert bytes(model.buffers[1].data) == b"12345678"
    assert bytes(model.buffers[model.metadata[0].buffer].data) == b"noted"
    assert len(model.buffers) == 3


def test_constants_that_nothing_refers_to_go(flatbuffer):
    model = unpack(edit(flatbuffer, lambda m: m.buffers.append(buffer(b"over")), share_buffers))
    assert len(model.buffers) == 3


def test_int8_lstm_is_the_same_file_again(windows):
    quantizable = Quantizable(small_models.recurrent("lstm"), windows[:2], Int8())
    files = [edit(quantizable.quantize(quantizable.calibrated), *PASSES) for _ in range(2)]
    assert files[0] == files[1]


def test_names_of_inputs_and_outputs_remain(flatbuffer):
    model = unpack(edit(flatbuffer, drop_inner_names))
    assert [t.name for t in model.subgraphs[0].tensors] == [b"w", None, None, None, b"y"]


def test_passes_run_in_order_and_once(flatbuffer):
    seen = []
    edit(flatbuffer, lambda model: seen.append(1), lambda model: seen.append(2))
    assert seen == [1, 2]


def test_unrolled_file_holds_each_weight_once_where_the_schema_wants_it():
    model = small_models.recurrent("gru")
    content = write_tflite(model)
    buffers = [bytes(b.data) for b in unpack(content).buffers if b.data is not None]
    assert len(buffers) == len(set(buffers))
    weights = 4 * model.count_params()
    assert 0.95 * weights < sum(map(len, buffers)) < 1.05 * weights
    assert len(content) < weights + 130_000
    packed = schema.Model.GetRootAs(content, 0)
    for index in range(packed.BuffersLength()):
        data = packed.Buffers(index).DataAsNumpy()
        if packed.Buffers(index).DataLength():
            start = data.__array_interface__["data"][0]
            begin = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            assert (start - begin) % BUFFER_ALIGNMENT == 0
