"""plt: the command line for personalised preference learning.

Not a plotting library: the shorthand ``plt`` for ``matplotlib.pyplot`` is another thing.
"""

__version__ = "0.1.0"
