"""Who a person is to a model: soft tokens and words."""
