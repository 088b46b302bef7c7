import pytest
from pydantic import ValidationError

from baseline.architecture import EqtConfig, build_eqtransformer


def test_published_configurations_have_the_published_numbers_of_parameters():
    conservative = EqtConfig()
    original = EqtConfig(recurrent_blocks=2, recurrent_activation="sigmoid")
    assert build_eqtransformer(conservative).count_params() == 378_311
    assert build_eqtransformer(original).count_params() == 373_495


@pytest.mark.parametrize("depth", [1, 2, 4, 7, 8])
def test_decoders_return_to_the_windows_length_at_any_depth(depth):
    config = EqtConfig(
        encoder_filters=(4,) * depth,
        encoder_kernels=(3,) * depth,
        residual_kernels=(),
        recurrent_blocks=0,
        recurrent_units=4,
    )
    assert build_eqtransformer(config).output_shape == (None, 6000, 3)


def test_gru_in_place_of_lstm_takes_fewer_parameters():
    lstm = build_eqtransformer(EqtConfig()).count_params()
    assert build_eqtransformer(EqtConfig(cell="gru")).count_params() < lstm


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder_filters": (8, 16)},
        {"encoder_filters": (), "encoder_kernels": ()},
        {"cell": "rnn"},
        {"recurrent_units": 0},
        {"filters": 8},
    ],
)
def test_impossible_configurations_are_refused(wrong):
    with pytest.raises(ValidationError):
        EqtConfig(**wrong)
