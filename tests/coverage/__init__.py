"""The coverage map: how often plt's intervals, tests and verdicts hold, over a grid of designs."""
