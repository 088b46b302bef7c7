"""The trained EQTransformer that we start from: architecture, layers, published weights."""
