"""What a person types. Heavy imports happen only inside command bodies."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    raise SystemExit("plt: no command yet")
