"""Changes to a converted TFLite file, one per file, which leave what it computes or right it.

A pass is a function that changes an unpacked flatbuffer in place; export.writers.flatbuffer unpacks
before the first and packs after the last.
"""
