"""The shell around every command: options, streams, inputs, rendering."""
