"""What the quantize stage does beyond converting: training for int8, and layers left in float32."""
