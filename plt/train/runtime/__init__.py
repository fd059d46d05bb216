"""The machine: processes, devices, dtypes and seeds."""
