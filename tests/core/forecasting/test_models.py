import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.forecasting.baselines import ETS, REFEREES, LastValue, SeasonalNaive, SeasonalNaiveDrift, Theta
from core.forecasting.models import TRANSFORMS, RecurrentForecaster, pinball

torch.set_num_threads(1)


def network(model="lstm", **changes):
    torch.manual_seed(0)
    facts = {"targets": 2, "known": 3, "horizon": 5, "season": 4, "hidden_size": 6} | changes
    return RecurrentForecaster(model=model, **facts).eval()


def windows(n=7, time=12, targets=2, known=3, horizon=5):
    generator = torch.Generator().manual_seed(1)
    past = 50 + 10 * torch.rand(n, time, targets, generator=generator, dtype=torch.float64)
    return past, torch.rand(n, time + horizon, known, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("difference", ["none", "last value", "last season", "seasons and trend"])
def test_every_forecaster_keeps_the_contract(model, transform, difference):
    past, known = windows()
    forecaster = network(model, transform=transform, difference=difference, layers=2)
    future = forecaster(past, known)
    assert future.shape == (7, 5, 2, 3) and future.dtype == torch.float64
    low, middle, high = future.unbind(-1)
    assert (low <= middle).all() and (middle <= high).all()


@pytest.mark.parametrize("kind", REFEREES.values(), ids=REFEREES)
def test_every_referee_keeps_the_contract_and_orders_its_quantiles(kind):
    past, _ = windows(n=2, time=40)
    future = kind(5, 4)(past)
    assert future.shape == (2, 5, 2, 3)
    low, middle, high = future.unbind(-1)
    assert (low <= middle).all() and (middle <= high).all()


@pytest.mark.parametrize("kind", REFEREES.values(), ids=REFEREES)
def test_every_referee_survives_short_flat_and_seasonless_series(kind):
    for values in ([1.0, 2.0, 3.0], [5.0] * 30, list(range(30)), [-1.0, 1.0] * 20):
        future = kind(4, 12)(torch.tensor(values, dtype=torch.float64).view(1, -1, 1))
        assert future.isfinite().all(), values


def test_naive_forecasts_have_known_answers():
    series = torch.arange(1.0, 13).double().view(1, -1, 1)  # 1 .. 12
    assert LastValue(3, 4)(series)[0, :, 0, 1].tolist() == [12, 12, 12]
    assert SeasonalNaive(6, 4)(series)[0, :, 0, 1].tolist() == [9, 10, 11, 12, 9, 10]
    assert SeasonalNaiveDrift(6, 4)(series)[0, :, 0, 1].tolist() == pytest.approx([13, 14, 15, 16, 17, 18])


def test_ets_and_theta_continue_a_clean_season_with_trend():
    time = torch.arange(96.0).double()
    clean = 100 + time + 10 * torch.sin(2 * torch.pi * time / 12)
    for kind in (ETS, Theta):
        forecast = kind(12, 12)(clean[:84].view(1, -1, 1))[0, :, 0, 1]
        assert (forecast - clean[84:]).abs().max() < 8, kind.name


@pytest.mark.parametrize(("model", "reference"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_the_readable_cells_compute_what_torchs_own_layers_do(model, reference):
    forecaster = network(model, layers=2)
    fused = reference(5, 6, num_layers=2, batch_first=True)
    for layer, cell in enumerate(forecaster.cells):
        for name, value in cell.named_parameters():
            getattr(fused, f"{name}_l{layer}").data.copy_(value.data)
    past, known = windows()
    inputs = forecaster.inputs(past, known)
    states = forecaster.start(len(past))
    for x in inputs.unbind(1):
        states = forecaster.step(x, states)
    assert torch.allclose(states[-1][0], fused(inputs)[0][:, -1], atol=1e-6)


def test_an_untrained_network_says_nearly_what_the_simple_forecast_says():
    past, known = windows()
    forecaster = network(difference="last season")
    base = forecaster.base(past)
    assert torch.equal(base[:, 0], past[:, -4]) and torch.equal(base[:, 4], past[:, -4])
    assert (forecaster(past, known)[..., 1] - base).abs().max() < 3


def test_the_trend_is_the_growth_per_season():
    line = 3.0 * torch.arange(24).double()  # season 4: 12 more each season
    starts = torch.arange(0, 10).unsqueeze(1)
    for window in (5, 9):  # one season, and the mean of two
        past, future = line[starts + torch.arange(window)].unsqueeze(-1), line[starts + window + torch.arange(5)].unsqueeze(-1)
        forecaster = network(targets=1, difference="seasons and trend")
        forecaster.fit_scales(past, torch.zeros(10, window + 5, 3, dtype=torch.float64), future)
        assert forecaster.trend.item() == pytest.approx(12)
        assert torch.allclose(forecaster.base(past), future)


def test_noise_is_averaged_over_the_seasons_of_the_window():
    past = torch.tensor([1.0, 5, 1, 5, 3, 7, 3, 7]).double().view(1, -1, 1)  # season 2: each place grows by 1 or 0
    forecaster = network(targets=1, horizon=3, season=2, difference="seasons and trend")
    assert forecaster.base(past)[0, :, 0].tolist() == [2, 6, 2]
    forecaster.trend.fill_(10.0)  # 2.5 seasons from the middle of the four to the next one, 3.5 to the one after
    assert forecaster.base(past)[0, :, 0].tolist() == [27, 31, 37]


@settings(max_examples=30, deadline=None)
@given(shift=st.floats(-1e6, 1e6), difference=st.sampled_from(["last value", "last season"]))
def test_a_differenced_forecast_moves_with_the_level(shift, difference):
    past, known = windows()
    forecaster = network(difference=difference)
    assert torch.allclose(forecaster(past + shift, known), forecaster(past, known) + shift, atol=1e-3, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(factor=st.floats(0.01, 100))
def test_with_logarithms_the_forecast_grows_with_the_scale(factor):
    past, known = windows()
    forecaster = network(transform="log", difference="last season")
    assert torch.allclose(forecaster(past * factor, known), forecaster(past, known) * factor, rtol=1e-4)


def test_scales_make_inputs_and_targets_unit_sized():
    past, known = windows(n=200)
    future = past[:, :5] * 3
    forecaster = network()
    forecaster.fit_scales(past, known, future)
    inputs = forecaster.inputs(past, known)
    assert torch.allclose(inputs.square().mean((0, 1)).sqrt(), torch.ones(5), atol=0.05)
    assert torch.allclose(forecaster.normalise_future(past, future).square().mean((0, 1)).sqrt(), torch.ones(2), atol=1e-4)


def test_a_constant_covariate_does_not_divide_by_zero():
    past, known = windows()
    known[..., 0] = 7.0
    forecaster = network()
    forecaster.fit_scales(past, known, past[:, :5])
    assert forecaster(past, known).isfinite().all()


def test_pinball_has_a_known_answer_and_skips_what_is_unknown():
    forecast = torch.tensor([[[0.0, 1.0, 2.0]]])
    actual = torch.tensor([[3.0]])
    expected = (0.1 * 3 + 0.5 * 2 + 0.9 * 1) / 3
    assert pinball(forecast, actual, (0.1, 0.5, 0.9)).item() == pytest.approx(expected)
    both = pinball(forecast.expand(2, 1, 3), torch.tensor([[3.0], [torch.nan]]), (0.1, 0.5, 0.9))
    assert both.item() == pytest.approx(expected)


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_calibration_holds_the_share_it_promises(spread):
    generator = torch.Generator().manual_seed(0)
    actual = torch.randn(400, 5, 1, generator=generator)
    forecast = torch.stack([-spread * torch.ones(400, 5, 1), torch.zeros(400, 5, 1), spread * torch.ones(400, 5, 1)], -1)
    forecaster = network(targets=1)
    forecaster.calibrate(forecast, actual, 0.8)
    low, _, high = forecaster.calibrated(forecast).unbind(-1)
    held = ((low <= actual) & (actual <= high)).float().mean().item()
    assert 0.79 < held < 0.83


def test_calibration_with_few_windows_grows_with_the_step():
    actual = torch.full((3, 5, 1), torch.nan)
    actual[:, 0] = 1.0
    forecaster = network(targets=1)
    forecaster.calibrate(torch.zeros(3, 5, 1, 3), actual, 0.8)
    least = forecaster.least[:, 0]
    assert least[0] == 1.0 and torch.allclose(least, torch.arange(1, 6).sqrt())
