"""Writers (TFLite, ONNX), bundles, and runtimes that run any exported model alike."""
