"""What learns: methods, features, scoring. Only this folder knows tensors.

Called as a function, ``plt.train(DATA, method=...)`` is `plt.api.train`.
"""
