"""Generative adversarial networks: a generator against a discriminator, on points or pictures."""
