"""Manabi without a screen: capabilities, runs and their contracts. Nothing here imports streamlit."""
