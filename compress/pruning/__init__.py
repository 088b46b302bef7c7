"""Ways to leave out weights and channels, one per file."""

# The methods are settings of a stage and build on what stages share. Whichever of the two packages
# is imported first, the stages have to be whole before a method asks for their base.
import compress.stages  # noqa: F401
