"""One file per format: from a Keras model to the bytes of an exported one.

Writers run in a process of their own (export.convert): converters crash, hang and leak.
"""
