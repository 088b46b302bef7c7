"""The ONNX graph of a Keras model, layer by layer, channels first between convolutions."""
