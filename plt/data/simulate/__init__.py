"""One file per simulator: populations whose true rewards are known."""
