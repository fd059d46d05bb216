"""Linear rewards on frozen features, solved exactly, and small networks beside them."""
