"""What it means: statistics, metrics, intervals, comparisons. Imports polars, numpy, scipy."""
