import pytest

from core.config import Config, read_config, table
from core.errors import UserError
from core.forecasting.config import ForecastingConfig


def test_bad_values_are_named_in_a_sentence():
    with pytest.raises(UserError, match=r"Horizon: .*less than or equal to 336 \(got 9999\)"):
        read_config(ForecastingConfig, {"horizon": 9999})
    with pytest.raises(UserError, match="Cell"):
        read_config(ForecastingConfig, {"model": "transformer"})


def test_unknown_fields_and_nan_are_refused():
    with pytest.raises(UserError):
        read_config(ForecastingConfig, {"surprise": 1})
    with pytest.raises(UserError):
        read_config(ForecastingConfig, {"learning_rate": float("nan")})


def test_a_link_carries_only_what_differs():
    assert ForecastingConfig().differing() == {}
    assert ForecastingConfig(horizon=7).differing() == {"horizon": 7}


def test_updated_checks_again_and_leaves_the_original():
    config = ForecastingConfig()
    assert config.updated({"learning_rate": 0.1}).learning_rate == 0.1
    assert config.learning_rate == ForecastingConfig().learning_rate
    with pytest.raises(UserError):
        config.updated({"learning_rate": -1})


def test_settings_that_contradict_each_other_say_so():
    with pytest.raises(UserError, match="window of at least one season"):
        read_config(ForecastingConfig, {"difference": "last season", "season": 24, "window": 12})


def test_the_table_of_settings_has_a_row_for_every_field():
    rows = table(ForecastingConfig)
    assert [row["field"] for row in rows] == list(ForecastingConfig.model_fields)
    assert {row["field"]: row["range"] for row in rows}["horizon"] == "1 to 336"


def test_a_preset_that_does_not_exist_is_the_default():
    assert ForecastingConfig.from_preset("nonsense") == ForecastingConfig()
    assert issubclass(ForecastingConfig, Config)
