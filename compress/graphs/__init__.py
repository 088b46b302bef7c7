"""Surgery on Keras graphs: rebuild a model with some of its layers changed, weights kept."""
