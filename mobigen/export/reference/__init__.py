"""The reference executor: runs a saved ML Program of Core ML with torch, so that any system can check a conversion.

What it proves: the program in the .mlpackage means what the network means. Every operation is computed as the MIL
operation set of coremltools defines it, from the bytes that will ship, compressed weights included. In float64
rounding is out of the way, and an agreement of 1e-6 with the network in double leaves little room for a mistake of
the converter: a wrong constant, axis, epsilon or order of channels is far larger than that.

What it does not prove: what a given chip computes. Core ML chooses a processor for each operation, fuses, reorders
sums and rounds float16 in its own places; float16 here rounds every result once, after summing in float32, and so
tells whether numbers overflow or lose their precision, not which digits a phone gives. It says nothing of speed,
nothing of whether a processor accepts an operation, and nothing where the definition leaves the result open: such a
case is refused.

`package` reads an .mlpackage into plain records, `blobs` its weights; `constants` gives stored and compressed
weights their values, `kernels` holds one function an operation, and `executor` runs them.
"""
