"""The one engine of exchange tests: who may be given whose judgement."""
