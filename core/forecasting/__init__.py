"""Forecasting with recurrent networks: RNN, LSTM and GRU against simple forecasts, on the visitor's own series."""
